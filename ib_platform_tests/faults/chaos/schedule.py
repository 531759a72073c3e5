"""Which faults come when. PURE: the same seed and the same plan give the same schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

Value = int | float | str
MIB = 1024**2


class Kind(StrEnum):
    """What a fault does to whom."""

    STREAMER_KILLED = "streamer_killed"
    STREAMER_STOPPED = "streamer_stopped"
    SPOOL_TRUNCATED = "spool_truncated"
    CLOCK_STEP = "clock_step"
    DISK_FULL = "disk_full"
    CLICKHOUSE_KILLED = "clickhouse_killed"
    CLICKHOUSE_500 = "clickhouse_500"
    CLICKHOUSE_TIMES_OUT = "clickhouse_times_out"
    CLICKHOUSE_REFUSES = "clickhouse_refuses"
    CLICKHOUSE_OUT_OF_MEMORY = "clickhouse_out_of_memory"
    CLICKHOUSE_READ_ONLY = "clickhouse_read_only"
    CLICKHOUSE_ANSWER_DROPPED = "clickhouse_answer_dropped"
    WEBSOCKET_CLOSED = "websocket_closed"
    HALF_OPEN = "half_open"
    MALFORMED_FRAMES = "malformed_frames"
    GIANT_FRAME = "giant_frame"


OF_CLICKHOUSE = frozenset(kind for kind in Kind if kind.value.startswith("clickhouse"))
NEEDS_A_SMALL_DISK = frozenset({Kind.DISK_FULL})
CONTENT = (
    "truncated_json",
    "echo_text",
    "unknown_topic",
    "text_frames",
    "numeric_values",
    "duplicated_rows",
    "duplicated_frames",
    "crossed_book",
    "laid_around_zero",
)
"""Faults of the simulator that change what frames hold."""


@dataclass(frozen=True)
class Fault:
    """One fault. ``at``: seconds after the beginning of the chaos; ``seconds``: how long it lasts,
    0 for what happens once."""

    number: int
    kind: Kind
    at: float
    seconds: float
    parameters: Mapping[str, Value]


@dataclass(frozen=True)
class Plan:
    """``seconds``: of the chaos. ``faults``: how many. ``stop_seconds``: of a SIGSTOP."""

    seconds: float
    faults: int
    stop_seconds: float
    kinds: tuple[Kind, ...] = tuple(Kind)


SHORT = Plan(seconds=64, faults=len(Kind), stop_seconds=3)
LEAST_LONG = 200


def long_plan(minutes: float) -> Plan:
    """At least 200 faults, SIGSTOP for half a minute."""
    return Plan(seconds=minutes * 60, faults=max(LEAST_LONG, round(minutes * 15)), stop_seconds=30)


_WEIGHTS = {Kind.STREAMER_STOPPED: 1, Kind.HALF_OPEN: 2, Kind.GIANT_FRAME: 3}
"""How often a kind comes for the others' 4 times: some take long, and what cannot be seen in
between proves little."""


def make_schedule(seed: int, plan: Plan) -> list[Fault]:
    """Faults in order of time. Every kind of the plan comes, if there is room for it.

    They may overlap, except that one thing is only in one trouble at a time: ClickHouse, and the
    streamer's process.
    """
    luck = Random(f"chaos/{seed}")
    kinds = list(plan.kinds)
    luck.shuffle(kinds)
    weights = [_WEIGHTS.get(kind, 4) for kind in plan.kinds]
    kinds += luck.choices(plan.kinds, weights, k=max(0, plan.faults - len(kinds)))
    kinds = kinds[: plan.faults]
    luck.shuffle(kinds)
    pace = plan.seconds / plan.faults
    faults: list[Fault] = []
    free: dict[str, float] = {}
    for number, kind in enumerate(kinds):
        seconds, parameters = _MAKE[kind](luck, plan)
        at = (number + luck.uniform(0.0, 0.8)) * pace
        whose = _whose(kind)
        if whose is not None:
            at = max(at, free.get(whose, 0.0))
            free[whose] = at + seconds + 0.5
        faults.append(Fault(number, kind, round(at, 3), round(seconds, 3), parameters))
    return sorted(faults, key=lambda fault: (fault.at, fault.number))


def _whose(kind: Kind) -> str | None:
    if kind in OF_CLICKHOUSE:
        return "clickhouse"
    of_streamer = (Kind.STREAMER_KILLED, Kind.STREAMER_STOPPED, Kind.SPOOL_TRUNCATED)
    return "streamer" if kind in of_streamer else "disk" if kind is Kind.DISK_FULL else None


_Made = tuple[float, dict[str, Value]]


def _at_once(_: Random, __: Plan) -> _Made:
    return 0.0, {}


def _stopped(_: Random, plan: Plan) -> _Made:
    return plan.stop_seconds, {}


def _truncated(luck: Random, _: Plan) -> _Made:
    """Which file, as a share of those that there are, and where, as a share of its length."""
    return 0.0, {"file": luck.random(), "byte": luck.random()}


def _stepped(luck: Random, _: Plan) -> _Made:
    """Seconds that the wall clock is off from now on."""
    return 0.0, {"offset": round(luck.choice((-1, 1)) * 10 ** luck.uniform(0.0, 2.0), 3)}


def _of_clickhouse(luck: Random, _: Plan) -> _Made:
    return luck.uniform(1.0, 6.0), {}


def _read_only(luck: Random, _: Plan) -> _Made:
    return luck.uniform(1.0, 6.0), {"code": luck.choice((164, 242))}


def _disk_full(luck: Random, _: Plan) -> _Made:
    return luck.uniform(2.0, 6.0), {}


def _closed(luck: Random, _: Plan) -> _Made:
    return 0.0, {"code": luck.choice((1000, 1001, 1006, 1011))}


def _half_open(luck: Random, _: Plan) -> _Made:
    return luck.uniform(0.5, 2.0), {}


def _malformed(luck: Random, _: Plan) -> _Made:
    return luck.uniform(0.5, 3.0), {"content": luck.choice(CONTENT)}


def _giant(luck: Random, _: Plan) -> _Made:
    return 0.0, {"bytes": luck.choice((MIB, 4 * MIB, 16 * MIB - 1, 16 * MIB))}


_MAKE: Mapping[Kind, Callable[[Random, Plan], _Made]] = {
    Kind.STREAMER_KILLED: _at_once,
    Kind.STREAMER_STOPPED: _stopped,
    Kind.SPOOL_TRUNCATED: _truncated,
    Kind.CLOCK_STEP: _stepped,
    Kind.DISK_FULL: _disk_full,
    Kind.CLICKHOUSE_KILLED: _at_once,
    Kind.CLICKHOUSE_500: _of_clickhouse,
    Kind.CLICKHOUSE_TIMES_OUT: _of_clickhouse,
    Kind.CLICKHOUSE_REFUSES: _of_clickhouse,
    Kind.CLICKHOUSE_OUT_OF_MEMORY: _of_clickhouse,
    Kind.CLICKHOUSE_READ_ONLY: _read_only,
    Kind.CLICKHOUSE_ANSWER_DROPPED: _of_clickhouse,
    Kind.WEBSOCKET_CLOSED: _closed,
    Kind.HALF_OPEN: _half_open,
    Kind.MALFORMED_FRAMES: _malformed,
    Kind.GIANT_FRAME: _giant,
}
