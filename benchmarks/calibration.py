"""The synthetic market beside the recorded one, figure by figure.

python -m benchmarks calibration

The synthetic market is asked by a client that behaves as the recorded one did: it sends its
requests at the recorded instants and is away in the recorded pauses, so that both columns are read
the same way. Time is not real: the figures are the same on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from benchmarks.ladder_figures import figures
from benchmarks.ladder_samples import GRID, PAUSE, Event, Frame, Request, collect
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_rows import encode_ladder
from ib_platform.simulator.ladder_view import LadderParameters, LadderView
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.synthetic import SyntheticMarket
from ib_platform_tests.support import capture_messages

SEEDS = range(8)


@dataclass(frozen=True)
class Line:
    """One figure of the recording, and the mean and the spread over the seeds of the synthetic."""

    name: str
    recorded: float
    synthetic: float
    lowest: float
    highest: float


def run() -> None:
    """The synthetic market beside the recorded one, figure by figure."""
    print(as_text(comparison()))


def as_text(lines: Iterable[Line]) -> str:
    """Both columns, a figure a line."""
    head = f"{'figure':42} {'recorded':>10} {'synthetic':>10}   (lowest to highest of {len(SEEDS)})"
    rows = (
        f"{line.name:42} {line.recorded:>10.3g} {line.synthetic:>10.3g}"
        f"   ({line.lowest:.3g} to {line.highest:.3g})"
        for line in lines
    )
    return "\n".join([head, *rows])


def comparison(
    market: MarketParameters | None = None, ladder: LadderParameters | None = None
) -> list[Line]:
    """Every figure, recorded and synthetic."""
    events = recorded_events()
    recorded = figures(collect(events))
    synthetic = [figures(collect(synthetic_events(events, s, market, ladder))) for s in SEEDS]
    return [
        Line(
            name,
            value,
            sum(run[name] for run in synthetic) / len(synthetic),
            min(run[name] for run in synthetic),
            max(run[name] for run in synthetic),
        )
        for name, value in recorded.items()
    ]


def recorded_events() -> list[Event]:
    """Requests and frames of the recorded ladder, seconds since the first."""
    found: list[Event] = []
    for message in capture_messages():
        at = datetime.fromisoformat(message["t"]).timestamp()
        text = message["msg"]
        if message["dir"] == "out" and text.startswith("sbd+"):
            found.append(Request(at))
        elif message["dir"] == "in" and json.loads(text).get("topic", "").startswith("sbd+"):
            found.append(Frame.of(at, text.encode()))
    begin = found[0].at
    return [
        Request(e.at - begin) if isinstance(e, Request) else Frame(e.at - begin, e.rows)
        for e in found
    ]


def synthetic_events(
    recorded: Iterable[Event],
    seed: int,
    market: MarketParameters | None = None,
    ladder: LadderParameters | None = None,
) -> Iterator[Event]:
    """What the recorded client would have seen of the synthetic market of that product."""
    contract = Catalogue.on(date(2025, 11, 13)).months_of("CL")[0]
    subject = LadderView(
        SyntheticMarket(contract, seed=seed, start=0.0, parameters=market),
        seed=seed,
        parameters=ladder,
    )
    point = 0
    for begin, end, requests in _visits(recorded):
        point = max(point, int(begin / GRID))
        waiting = list(requests)
        while (now := point * GRID) <= end:
            while waiting and waiting[0] <= now:
                subject.request(waiting[0])
                yield Request(waiting.pop(0))
            if (rows := subject.poll(now)) is not None:
                yield Frame.of(now, encode_ladder("DU1000001", contract.conid, rows))
            point += 1


def _visits(recorded: Iterable[Event]) -> Iterator[tuple[float, float, list[float]]]:
    """(begin, end, requests) of every stretch without a pause of the client."""
    begin, end = 0.0, 0.0
    requests: list[float] = []
    for event in recorded:
        if event.at - end > PAUSE:
            yield begin, end, requests
            begin, requests = event.at, []
        if isinstance(event, Request):
            requests.append(event.at)
        end = event.at
    yield begin, end, requests
