"""Plays one failure against a bench and compares what came of it with the table."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ib_platform.states import StreamEventKind
from ib_platform_tests.failures.bench import Bench, Event
from ib_platform_tests.failures.table import Failure


@dataclass(frozen=True)
class Played:
    """Measured seconds: until the state was told; from the end of the fault until all was live;
    and the recorded gaps of both contracts."""

    noticed: float
    back: float
    gaps: list[tuple[str, float]]

    def __str__(self) -> str:
        gaps = ", ".join(f"{cause} {seconds:.1f} s" for cause, seconds in self.gaps) or "no gap"
        return f"noticed after {self.noticed:.1f} s, live {self.back:.1f} s after its end; {gaps}"


def state_told(bench: Bench, failure: Failure) -> str:
    if failure.told_by == "gateway":
        return bench.gateway().state.value
    if failure.told_by == "streamer":
        return bench.health().state.value
    return bench.contract().state.value


async def play(bench: Bench, failure: Failure) -> Played:
    """Begin the fault, wait for its state, its end and the recovery; stop; read the record."""
    began = time.monotonic()
    fault = bench.inject(failure.fault, failure.lasts, failure.symbol, **failure.parameters)
    wanted = failure.state.value
    await bench.until(lambda: state_told(bench, failure) == wanted, f"the state {wanted}")
    noticed = time.monotonic() - began
    if failure.lasts is not None:
        active = bench.world.faults.all
        await bench.until(
            lambda: fault not in active(bench.world.clock.now()), "the end of the fault"
        )
    ended = time.monotonic()
    await bench.until(bench.all_live, "two live ladders again", failure.back + 60)
    back = time.monotonic() - ended
    health, events, gaps = await bench.end()
    played = Played(noticed, back, [(gap.cause, gap.seconds) for gap in gaps])
    assert noticed <= failure.noticed, f"{failure.name}: {played}"
    assert back <= failure.back, f"{failure.name}: {played}"
    assert failure.cures <= set(health.cures), f"{failure.name}: cures {health.cures}"
    _check_record(failure, played, events)
    return played


def _check_record(failure: Failure, played: Played, events: list[Event]) -> None:
    causes = {cause for cause, _ in played.gaps}
    expected = set() if failure.gap is None else {failure.gap.value}
    assert causes == expected, f"{failure.name}: {played}; {_said(events)}"
    kind, cause = failure.event
    if cause is None:
        losses = [event for event in events if event.kind == StreamEventKind.DISCONNECTED.value]
        assert not losses, f"{failure.name}: {losses}"
    else:
        told = {event.cause for event in events if event.kind == kind.value}
        assert cause.value in told, f"{failure.name}: {_said(events)}"


def _said(events: list[Event]) -> str:
    return ", ".join(f"{event.kind} {event.cause or ''} {event.contract or ''}" for event in events)
