"""Experiments: questions about IBKR's ladders that only a real session can answer.

Each asks over the websocket, watches what comes, and says one word (``verdicts``) with the counts
that it rests on. Both go into the capture as a note, so that the frames can be judged again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from ib_platform.ibkr.messages import subscribe_ladder, unsubscribe_ladders
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.recorder import verdicts
from ib_platform.recorder.sightings import Sighting, Sightings

_LOOK_EVERY = 0.05


class Experiment(StrEnum):
    """Names as they stand on the command line."""

    MULTIPLEX = "multiplex"
    EXPIRY = "expiry"
    UBD = "ubd"
    RESUBSCRIBE = "resubscribe"
    SECOND_WEBSOCKET = "second_websocket"


TWO_CONTRACTS = frozenset({Experiment.MULTIPLEX, Experiment.SECOND_WEBSOCKET})
"""Experiments that need a second ladder to ask for."""


@dataclass(frozen=True)
class Times:
    """Seconds. ``rows_within``: a requested ladder that shows nothing until then stays silent.
    ``settle``: frames that were under way when something changed. ``watch``: how long is looked.
    ``silence``: a ladder without a frame for so long has stopped. ``longest``: the watch for an
    expiry. ``tries``: repeated requests."""

    rows_within: float = 15.0
    settle: float = 2.0
    watch: float = 10.0
    silence: float = 60.0
    longest: float = 1800.0
    tries: int = 3


@dataclass(frozen=True)
class Finding:
    """``verdict``: one word; ``data``: the counts it rests on."""

    experiment: Experiment
    verdict: str
    data: Mapping[str, object]


class Stage(Protocol):
    """What an experiment is done on. ``account`` is the real one; ``contracts`` are conids."""

    account: str
    contracts: tuple[int, ...]
    sightings: Sightings

    def now(self) -> float:
        """Monotonic seconds, as in ``sightings``."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    @property
    def connection(self) -> int:
        """Number of the websocket on which is asked unless another is named."""
        ...

    async def send(self, text: str, connection: int | None = None) -> None:
        """Raises GatewayCallError when the connection has ended."""
        ...

    async def open_another(self) -> int:
        """A further websocket of the session, ready for requests; its number.

        Raises GatewayCallError when it is refused."""
        ...


async def carry_out(experiment: Experiment, stage: Stage, times: Times) -> Finding:
    """Do one experiment. Raises GatewayCallError when the websocket ends meanwhile."""
    verdict, data = await _PROCEDURES[experiment](stage, times)
    return Finding(experiment, verdict, data)


_Outcome = tuple[str, dict[str, object]]


async def _multiplex(stage: Stage, times: Times) -> _Outcome:
    """Ladder A, wait for rows, ladder B, watch both."""
    first, second = stage.contracts[:2]
    await _fresh_start(stage, times)
    before = await _request(stage, times, first)
    asked_at = stage.now()
    await stage.send(subscribe_ladder(stage.account, second))
    await stage.sleep(times.settle)
    settled_at = stage.now()
    await stage.sleep(times.watch)
    after = len(stage.sightings.ladder(first, settled_at))
    other = len(stage.sightings.ladder(second, asked_at))
    verdict = verdicts.several_ladders(first_before=before, first_after=after, second_after=other)
    return verdict, {"first_before": before, "first_after": after, "second_after": other}


async def _ubd(stage: Stage, times: Times) -> _Outcome:
    """``ubd+account`` while ladders stream, then ``ubd+account+conid``."""
    plain = unsubscribe_ladders(stage.account)
    verdict, data = await _unsubscribed(stage, times, plain)
    one = f"{plain}+{stage.contracts[0]}"
    verdict_of_one, data_of_one = await _unsubscribed(stage, times, one)
    return verdict, data | {"with_conid": verdict_of_one, "with_conid_data": data_of_one}


async def _unsubscribed(stage: Stage, times: Times, request: str) -> _Outcome:
    for conid in stage.contracts:
        await _request(stage, times, conid)
    began = stage.now()
    await stage.sleep(times.watch)
    before = _streaming(stage, began)
    asked_at = stage.now()
    await stage.send(request)
    await stage.sleep(times.settle)
    settled_at = stage.now()
    await stage.sleep(times.watch)
    after = _streaming(stage, settled_at)
    answers = len(stage.sightings.of_topic("ubd", asked_at))
    verdict = verdicts.stopped(len(before), len(after))
    return verdict, {"before": before, "after": after, "answers": answers}


async def _expiry(stage: Stage, times: Times) -> _Outcome:
    """A ladder that nobody renews, until it falls silent; then it is asked for again."""
    conid = stage.contracts[0]
    began = stage.now()
    frames = await _request(stage, times, conid)
    last, over = began, False
    while frames and not over and stage.now() - began < times.longest:
        await stage.sleep(min(times.silence / 4, 5.0))
        seen = stage.sightings.ladder(conid, last)
        last = seen[-1].at if seen else last
        over = stage.now() - last >= times.silence
    came_back = bool(over and await _request(stage, times, conid))
    verdict = verdicts.lifetime(began=frames > 0, fell_silent=over, came_back_when_asked=came_back)
    lived = round(last - began, 3) if frames else None
    return verdict, {"lived_seconds": lived, "came_back_when_asked": came_back}


async def _resubscribe(stage: Stage, times: Times) -> _Outcome:
    """An open ladder is asked for again, several times."""
    conid = stage.contracts[0]
    frames = await _request(stage, times, conid)
    delays: list[float] = []
    for _ in range(times.tries if frames else 0):
        await stage.sleep(times.settle)
        asked_at = stage.now()
        await stage.send(subscribe_ladder(stage.account, conid))
        full = await _until(stage, times, partial(stage.sightings.full_frames, conid, asked_at))
        if full:
            delays.append(round(full[0].at - asked_at, 3))
    verdict = verdicts.asked_again(frames=frames, full_frames=len(delays), tries=times.tries)
    return verdict, {"tries": times.tries, "full_frame_after_seconds": delays}


async def _second_websocket(stage: Stage, times: Times) -> _Outcome:
    """Ladder A on the first websocket, ladder B on a second one of the same session."""
    first, second = stage.contracts[:2]
    await _fresh_start(stage, times)
    before = await _request(stage, times, first)
    try:
        other = await stage.open_another()
    except GatewayCallError as error:
        return verdicts.SecondSocket.REFUSED, {"error": error.status}
    asked_at = stage.now()
    await stage.send(subscribe_ladder(stage.account, second), other)
    await stage.sleep(times.settle)
    settled_at = stage.now()
    await stage.sleep(times.watch)
    own = stage.connection
    after = len(stage.sightings.ladder(first, settled_at, connection=own))
    others = len(stage.sightings.ladder(second, asked_at, connection=other))
    crossed = len(stage.sightings.ladder(first, settled_at, connection=other))
    verdict = verdicts.second_socket(
        first_before=before, first_after=after, second_after=others, first_on_second=crossed
    )
    return verdict, {
        "first_before": before,
        "first_after": after,
        "second_after": others,
        "first_on_second": crossed,
    }


_PROCEDURES: Mapping[Experiment, Callable[[Stage, Times], Awaitable[_Outcome]]] = {
    Experiment.MULTIPLEX: _multiplex,
    Experiment.UBD: _ubd,
    Experiment.EXPIRY: _expiry,
    Experiment.RESUBSCRIBE: _resubscribe,
    Experiment.SECOND_WEBSOCKET: _second_websocket,
}


async def _fresh_start(stage: Stage, times: Times) -> None:
    """Nothing is open, nothing is under way."""
    await stage.send(unsubscribe_ladders(stage.account))
    await stage.sleep(times.settle)


async def _request(stage: Stage, times: Times, conid: int) -> int:
    """Ask for a ladder and wait for rows. How many frames came; 0: it stays silent."""
    asked_at = stage.now()
    await stage.send(subscribe_ladder(stage.account, conid))
    return len(await _until(stage, times, partial(stage.sightings.ladder, conid, asked_at)))


async def _until(stage: Stage, times: Times, look: Callable[[], list[Sighting]]) -> list[Sighting]:
    """What ``look`` finds, as soon as it finds something, or nothing in ``rows_within``."""
    deadline = stage.now() + times.rows_within
    while not (found := look()) and stage.now() < deadline:
        await stage.sleep(_LOOK_EVERY)
    return found


def _streaming(stage: Stage, since: float) -> list[int]:
    return [conid for conid in stage.contracts if stage.sightings.ladder(conid, since)]
