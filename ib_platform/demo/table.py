"""What the demo shows while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ib_platform.fleet.pods import PodObservation
from ib_platform.fleet.recording import loading_troubles
from ib_platform.health import ContractHealth

UNKNOWN = "–"
_COLOURS = {"STREAMING": "green", "LIVE": "green", "available": "green", "degraded": "yellow"}


@dataclass(frozen=True)
class Built:
    """The newest of what Dagster built for a contract; None where nothing is yet."""

    last_bar: datetime | None = None
    mid_close: Decimal | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Line:
    """One row of the table, as text."""

    contract: str
    pod: str
    pod_state: str
    ladder: str
    frames: str
    lag: str
    last_bar: str
    verdict: str


def lines(observations: list[PodObservation], built: dict[str, Built]) -> list[Line]:
    """One line per contract of each pod; a pod without contracts gets a line of its own."""
    found = []
    for pod in observations:
        health = pod.streamer_health
        state = health.state.value if health else _process_word(pod)
        contracts: dict[str, ContractHealth | None] = {UNKNOWN: None}
        if health is not None and health.contracts:
            contracts = dict(health.contracts)
        for contract, ladder in sorted(contracts.items()):
            latest = built.get(contract, Built())
            found.append(
                Line(
                    contract=contract,
                    pod=pod.paper_user,
                    pod_state=state,
                    ladder=ladder.state.value if ladder else UNKNOWN,
                    frames=f"{ladder.ladder_frames:,}" if ladder else UNKNOWN,
                    lag=_lag(health.loader.lag_seconds if health else None, health is not None),
                    last_bar=_bar(latest),
                    verdict=latest.verdict or UNKNOWN,
                )
            )
    return found


def troubles(observations: list[PodObservation], lag_limit: float) -> list[str]:
    """Why rows do not reach ClickHouse, a line for each trouble of each pod. ``lag_limit``: s."""
    return [
        f"{pod.paper_user}: {words}"
        for pod in observations
        for words in loading_troubles(pod.streamer_health, lag_limit).values()
    ]


def _process_word(pod: PodObservation) -> str:
    if pod.error is not None:
        return "UNKNOWN"
    return "STARTING" if pod.streamer.running or pod.gateway.running else "DOWN"


def _lag(seconds: float | None, known: bool) -> str:
    if not known:
        return UNKNOWN
    return "0.0 s" if seconds is None else f"{seconds:.1f} s"


def _bar(built: Built) -> str:
    if built.last_bar is None:
        return UNKNOWN
    price = "" if built.mid_close is None else f" mid {built.mid_close.normalize():f}"
    return f"{built.last_bar:%H:%M}{price}"


def render(rows: list[Line], notes: list[str]) -> Group:
    """The table with notes (addresses, time left) below it."""
    table = Table(title="ib_platform demo", title_justify="left")
    for title in ("contract", "pod", "pod state", "ladder", "frames", "lag", "last bar", "verdict"):
        table.add_column(title, justify="right" if title in ("frames", "lag") else "left")
    for row in rows:
        cells = astuple(row)
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in cells))
    return Group(table, *(Text(note) for note in notes))


def as_text(rows: list[Line], told: list[str]) -> str:
    """The same in one line, for logs; ``told``: troubles."""
    found = [
        f"{r.contract} on {r.pod}: {r.pod_state} {r.ladder}, frames {r.frames}, lag {r.lag}, "
        f"last bar {r.last_bar}, verdict {r.verdict}"
        for r in rows
    ]
    return "; ".join([*found, *told])
