"""Plays one failure against a bench and compares what came of it with the table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from ib_platform.simulator.faults import Fault
from ib_platform.states import StreamEventKind
from ib_platform_tests.failures.bench import Bench, Event, Gap
from ib_platform_tests.failures.table import Failure
from ib_platform_tests.failures.table_of_logins import LoginFailure
from ib_platform_tests.streamer.app_bench import CL, ES

_FRAMES_UNTROUBLED = 20
"""So many frames of each ladder have to come after a failure that costs nothing."""


@dataclass(frozen=True)
class Played:
    """Measured seconds: until the state was told (None: nothing was to be noticed); from the end of
    the fault until all was live; and the recorded gaps of both contracts."""

    noticed: float | None
    back: float
    gaps: list[Gap]

    def __str__(self) -> str:
        gaps = ", ".join(f"{gap.cause} {gap.seconds:.1f} s" for gap in self.gaps) or "no gap"
        if self.noticed is None:
            return gaps
        return f"noticed after {self.noticed:.1f} s, live {self.back:.1f} s after its end; {gaps}"


def cases(failures: Iterable[Failure | LoginFailure]) -> list[object]:
    """Parameters of a test that plays them."""
    return [
        pytest.param(failure, id=failure.name, marks=[pytest.mark.long] if failure.slow else [])
        for failure in failures
    ]


def told(bench: Bench, failure: Failure) -> bool:
    """Whether the state is told, with its reason."""
    reason: str | None
    if failure.told_by == "gateway":
        supervisor = bench.gateway()
        state, reason = supervisor.state.value, supervisor.reason
    elif failure.told_by == "streamer":
        streamer = bench.health()
        state, reason = streamer.state.value, streamer.reason
    else:
        contract = bench.contract()
        state, reason = contract.state.value, contract.reason
    return state == failure.state.value and failure.says in (reason or "")


async def play(bench: Bench, failure: Failure) -> Played:
    """Begin the fault, wait for its state, its end and the recovery; stop; read the record."""
    began = time.monotonic()
    fault = bench.inject(failure.fault, failure.lasts, failure.symbol, **failure.parameters)
    for other in failure.together:
        bench.inject(other, None, None)
    noticed = None
    if failure.noticed is None:
        await _untroubled(bench)
    else:
        await bench.until(lambda: told(bench, failure), f"{failure.state}: {failure.says}")
        noticed = time.monotonic() - began
    await _end_fault(bench, failure, fault)
    ended = time.monotonic()
    await bench.until(bench.all_live, "two live ladders again", failure.back + 60)
    back = time.monotonic() - ended
    health, events, gaps = await bench.end()
    played = Played(noticed, back, gaps)
    if failure.noticed is not None:
        assert noticed is not None
        assert noticed <= failure.noticed, f"{failure.name}: {played}"
    assert back <= failure.back, f"{failure.name}: {played}"
    assert failure.cures <= set(health.cures), f"{failure.name}: cures {health.cures}"
    _check_record(failure, played, events)
    return played


async def _end_fault(bench: Bench, failure: Failure, fault: Fault) -> None:
    """Wait for its end, or end it as soon as the record tells of it."""
    if fault not in bench.world.faults.all(bench.world.clock.now()):
        return
    if failure.lasts is None:
        if (event := failure.event) is not None:
            await bench.until(lambda: event in _causes(bench.recorded()), "the event")
        bench.world.faults.stop(fault.number)
    active = bench.world.faults.all
    await bench.until(lambda: fault not in active(bench.world.clock.now()), "the end of the fault")


async def _untroubled(bench: Bench) -> None:
    before = {key: contract.ladder_frames for key, contract in bench.health().contracts.items()}

    def went_on() -> bool:
        contracts = bench.health().contracts
        return all(
            contracts[key].ladder_frames >= frames + _FRAMES_UNTROUBLED
            for key, frames in before.items()
        )

    await bench.until(went_on, "ladders that go on")


def _check_record(failure: Failure, played: Played, events: list[Event]) -> None:
    said = ", ".join(f"{event.kind} {event.cause or ''} {event.contract or ''}" for event in events)
    expected: set[tuple[str | None, str | None]] = set()
    if failure.gap is not None:
        lose = (CL,) if failure.symbol is not None else (CL, ES)
        expected = {(key, failure.gap.value) for key in lose}
    found = {(gap.contract, gap.cause) for gap in played.gaps}
    assert found == expected, f"{failure.name}: {played}; {said}"
    asked = StreamEventKind.SUBSCRIBE_REQUESTED.value
    again = {event.contract for event in events if event.kind == asked and event.cause}
    assert {key for key, _ in expected} <= again, f"{failure.name}: not asked for again; {said}"
    if failure.event is not None:
        assert failure.event in _causes(events), f"{failure.name}: {said}"
    if failure.event is None or failure.symbol is not None:
        # What costs nothing, or one ladder only, ends no websocket.
        kinds = {event.kind for event in events}
        assert StreamEventKind.DISCONNECTED.value not in kinds, f"{failure.name}: {said}"


def _causes(events: list[Event]) -> set[tuple[str, str | None]]:
    return {(event.kind, event.cause) for event in events}
