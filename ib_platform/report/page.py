"""The page of a trade date as one HTML text: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ib_platform.report import words
from ib_platform.report.colours import OF_CAUSE, OF_PHASE, OF_VERDICT
from ib_platform.report.day import ContractPage, DatePage, Stretch
from ib_platform.report.plots import arrivals_plot, day_plot
from ib_platform.states import CheckVerdict, FrameSource

SHOWN = 12
"""Gaps and suspect windows of a contract that the page lists, each."""
_BROKEN = (CheckVerdict.FAIL, CheckVerdict.WARN)
_SOURCES = {
    FrameSource.SIMULATED: (
        "A simulated market.",
        "These frames came from ib_platform's simulator: the prices are not IBKR's.",
    ),
    FrameSource.REPLAYED: (
        "A replayed capture.",
        "These frames were recorded earlier and played again: the times are those of the replay.",
    ),
    "mixed": ("Several sources.", "Not all runs of this date recorded from IBKR."),
}


def render(day: DatePage) -> str:
    """The page. The same values give the same text."""
    return (
        _environment()
        .get_template("date.html")
        .render(
            day=day,
            sources=_sources(day),
            look=OF_VERDICT,
            colour=OF_CAUSE,
            shown=SHOWN,
            phase_colour=OF_PHASE,
            broken=_broken,
            figures=_figures,
            longest=_longest,
            phases=_phases,
            plot=lambda contract: _as_data(day_plot(contract, day)),
            arrivals_plot=lambda contract: _as_data(arrivals_plot(contract.arrivals)),
            share=words.share,
            count=words.count,
            length=words.length,
            figure=words.figure,
            both=words.both,
            chicago=words.chicago,
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ib_platform.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _sources(day: DatePage) -> list[dict[str, str]]:
    """What has to be said of the sources that are not IBKR."""
    found: dict[str, list[str]] = {}
    for contract in day.contracts:
        if contract.source in _SOURCES:
            found.setdefault(str(contract.source), []).append(contract.name)
    return [
        {"title": _SOURCES[source][0], "text": f"{_SOURCES[source][1]} {', '.join(names)}."}
        for source, names in found.items()
    ]


def _broken(contract: ContractPage) -> list[Any]:
    """Its checks that fail, then those that warn."""
    broken = [check for check in contract.checks if check["verdict"] in _BROKEN]
    return sorted(broken, key=lambda check: _BROKEN.index(check["verdict"]))


def _figures(contract: ContractPage) -> list[tuple[str, str]]:
    report = contract.report
    return [
        ("coverage", words.share(report["coverage"])),
        ("expected", words.length(report["expected_seconds"])),
        ("in gaps", words.length(report["gap_seconds"])),
        ("verified", words.share(contract.verified)),
        ("clean", words.share(contract.clean)),
        ("ladder frames", words.count(report["ladder_frames"])),
        ("undecodable", words.count(report["undecodable"])),
        ("of its pod: received", words.count(report["frames_received"])),
        ("of its pod: stored", words.count(report["frames_stored"])),
        ("paper user", report["paper_user"] or words.UNKNOWN),
    ]


def _phases(contract: ContractPage) -> list[str]:
    """The phases of its market on that date, in order of their begin."""
    return list(dict.fromkeys(phase.what for phase in contract.phases))


def _longest(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The longest ones, in order of their begin."""
    chosen = sorted(stretches, key=lambda stretch: -stretch.seconds)[:SHOWN]
    return sorted(chosen, key=lambda stretch: (stretch.begin, stretch.end))


def _as_data(svg: str) -> str:
    """A picture of its own: what is in it cannot meet what is in the page."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
