"""Words and colours of the page, and what a hostile name becomes on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.report import words
from ib_platform.report.colours import OF_CAUSE, OF_PHASE, OF_VERDICT
from ib_platform.report.day import Arrivals, ContractPage, DatePage, Minute, Stretch
from ib_platform.report.page import render
from ib_platform.report.plots import arrivals_plot, day_picture, day_plot
from ib_platform.states import Cause, CheckVerdict, Verdict

BEGIN = datetime(2026, 11, 17, 22, 30, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
REPORT: dict[str, Any] = {
    "contract": "CL.NYMEX.front", "conid": 1, "paper_user": "alpha", "verdict": "available",
    "reasons": [], "preliminary": False, "revised_at": None, "expected_seconds": 100.0,
    "coverage": None, "gap_seconds": 0.0, "ladder_frames": 10, "undecodable": 0,
    "frames_received": None, "frames_stored": None, "calendar_difference": None,
    "inputs_version": "abc", "built_at": END,
}  # fmt: skip


def page_of(**changes: Any) -> str:
    contract = ContractPage({**REPORT, **changes}, [])
    return render(DatePage(date(2026, 11, 18), BEGIN, END, (contract,)))


def test_every_cause_phase_and_verdict_has_its_look() -> None:
    assert {*OF_CAUSE} == {*Cause}
    assert len({*OF_CAUSE.values()}) == len(Cause), "two causes look alike"
    assert {*OF_PHASE} == {*MarketPhase}
    assert {*OF_VERDICT} == {*Verdict, *CheckVerdict}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (0.0, "0 %"), (1.0, "100 %"), (0.999999, "99.999 %"), (0.5, "50 %")],
)
def test_shares_are_rounded_down(value: float | None, text: str) -> None:
    assert words.share(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"), (0.0, "0 ms"), (0.0001, "less than 1 ms"), (0.31, "310 ms"),
        (4.25, "4.2 s"), (59.9, "59.9 s"), (723.0, "12 min 3 s"), (12_300.0, "3 h 25 min"),
        (3599.9, "1 h 0 min"),
    ],
)  # fmt: skip
def test_lengths(seconds: float | None, text: str) -> None:
    assert words.length(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "unknown"), (0.25, "share", "25 %"), (3.0, "seconds", "3.0 s"),
        (-0.5, "seconds", "-0.5 s"), (1234.0, "frames", "1,234 frames"), (2.0, "", "2"),
    ],
)  # fmt: skip
def test_values_of_checks(value: float | None, unit: str, text: str) -> None:
    assert words.figure(value, unit) == text


def test_an_instant_is_told_twice() -> None:
    assert words.both(BEGIN) == "Tue 17 Nov 16:30:00 Chicago, 22:30:00 UTC"


def test_a_name_is_text_whatever_is_in_it() -> None:
    evil = '"><script>alert(1)</script>'
    page = page_of(contract=evil, reasons=[evil], calendar_difference=evil, paper_user=evil)
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_what_is_unknown_is_said() -> None:
    page = page_of()
    assert "<dt>coverage</dt><dd>unknown</dd>" in page
    assert "<dt>of its pod: received</dt><dd>unknown</dd>" in page
    assert "No reason to doubt it." in page
    assert "simulated" not in page


def test_a_revised_date_is_said() -> None:
    assert "Revised" not in page_of()
    assert "<strong>Revised.</strong> Built anew at 2026-11-18 22:30:00 UTC" in page_of(
        revised_at=END
    )


def test_disputed_hours_and_a_preliminary_date_are_said() -> None:
    page = page_of(calendar_difference="IBKR says closed", preliminary=True)
    assert "<strong>Hours disputed.</strong> IBKR says closed" in page
    assert "<strong>Preliminary.</strong>" in page


def example(**changes: Any) -> tuple[ContractPage, DatePage]:
    values: dict[str, Any] = {
        "gaps": [Stretch(BEGIN + timedelta(hours=3), BEGIN + timedelta(hours=4), "disk_full")],
        "suspects": [Stretch(BEGIN, BEGIN, "clock_step")],
        "phases": [Stretch(BEGIN, END, "open")],
        "minutes": [
            Minute(BEGIN + timedelta(minutes=n), 60.0 + n, None if n % 2 else 60.5, 2.0, 5.0, None)
            for n in range(30)
        ],
    }
    contract = ContractPage(REPORT, [], **{**values, **changes})
    return contract, DatePage(date(2026, 11, 18), BEGIN, END, (contract,))


def test_a_plot_names_each_cause_that_it_shows() -> None:
    svg = day_plot(*example())
    for word in ("disk_full", "clock_step", "recorded", "price", "spread, ticks", "Chicago"):
        assert f">{word}</text>" in svg
    assert ">late_stamps</text>" not in svg
    assert OF_CAUSE["disk_full"] in svg


@pytest.mark.parametrize("missing", ["gaps", "suspects", "phases", "minutes"])
def test_a_plot_needs_none_of_its_parts(missing: str) -> None:
    assert day_plot(*example(**{missing: []})).endswith("</svg>\n")


def test_a_picture_of_the_same_values_is_the_same() -> None:
    first = day_picture(*example())
    assert first == day_picture(*example())
    assert first.startswith(b"\x89PNG")
    assert first != day_picture(*example(gaps=[]))


def test_arrivals_of_less_than_a_millisecond_are_drawn() -> None:
    svg = arrivals_plot(Arrivals({0: 5, 7: 1}, 0.0, 0.04, 0.04))
    assert ">1 ms</text>" in svg
    assert ">since the frame before</text>" in svg
