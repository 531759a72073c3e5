"""Words and colours of the page, and what a hostile name becomes on it."""

from __future__ import annotations

import re
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
    [(None, "unknown"), (0.0, "0 %"), (1.0, "100 %"), (0.999999, "99.999 %"), (0.29, "29 %")],
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


@pytest.mark.parametrize(
    ("text", "unit", "told"),
    [
        (None, "share", ""), ("< 0.995", "share", "< 99.5 %"), ("> 0", "share", "> 0 %"),
        ("> 0.00001", "share", "> 0.001 %"), ("> 1e-05", "share", "> 0.001 %"),
        ("< 0 or > 1", "seconds", "< 0 or > 1"), ("< 0.5 or > 2", "times", "< 0.5 or > 2"),
    ],
)  # fmt: skip
def test_thresholds_are_told_like_the_values(text: str | None, unit: str, told: str) -> None:
    assert words.threshold(text, unit) == told


def check(**changes: Any) -> dict[str, Any]:
    return {
        "code": "Q01", "name": "coverage", "value": None, "unit": "share", "warn": None,
        "fail": None, "explanation": "", "figures": {}, "source": "ibkr", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "value", "text"),
    [
        ("unknown", None, "unknown"), ("report", None, "unknown"), ("pass", None, "–"),
        ("not_applicable", None, "–"), ("not_applicable", 0.5, "50 %"), ("fail", 0.0, "0 %"),
    ],
)  # fmt: skip
def test_no_number_is_unknown_only_where_there_should_be_one(
    verdict: str, value: float | None, text: str
) -> None:
    contract = ContractPage(REPORT, [check(verdict=verdict, value=value)])
    page = render(DatePage(date(2026, 11, 18), BEGIN, END, (contract,)))
    row = page[page.index("Q01 coverage</td>") :]
    assert f'<td class="number">{text}</td>' in row


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
    for word in ("disk_full", "clock_step", "recorded", "price", "spread, ticks"):
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


def test_the_emptiest_bucket_has_a_height() -> None:
    svg = arrivals_plot(Arrivals({10: 5000, 12: 1}, 0.15, 0.2, 0.3))
    frame = re.search(r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)
    tops = re.findall(r'L [\d.]+ ([\d.]+) \nz\n"[^>]*fill: #0072b2', svg)
    assert frame is not None
    full, one = (float(frame[1]) + float(frame[2]) - float(top) for top in tops)
    assert full > 4 * one > 20


def test_waits_are_named_in_milliseconds_and_seconds() -> None:
    svg = arrivals_plot(Arrivals({5: 1, 10: 5000, 19: 1}, 0.15, 0.2, 9.0))
    for word in ("10 ms", "50 ms", "100 ms", "500 ms", "5 s", "10 s", "1", "1,000"):
        assert f">{word}</text>" in svg


def test_a_day_without_frames_shows_its_coverage_alone() -> None:
    contract, day = example(minutes=[])
    svg = day_plot(contract, day)
    assert ">disk_full</text>" in svg
    assert ">Chicago above, UTC below</text>" in svg
    assert ">price</text>" not in svg
    assert len(day_picture(contract, day)) < len(day_picture(*example()))
    page = render(day)
    assert "By minutes, weighted by time." not in page
    assert "Shaded by what the market does:" in page


def test_the_page_itself_forbids_to_load_anything() -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page_of())
    assert policy is not None
    allowed = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert allowed == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
    }


@pytest.mark.parametrize("source", ["simulated", "replayed", "mixed"])
def test_a_source_that_is_not_ibkr_is_said_everywhere(source: str) -> None:
    contract = ContractPage(REPORT, [check(verdict="pass", source=source)])
    page = render(DatePage(date(2026, 11, 18), BEGIN, END, (contract,)))
    assert page.count(f'<span class="badge loud">{source}</span>') == 2, "table and section"
    assert page.count('<p class="banner loud">') == 1
    assert f"<dt>source</dt><dd>{source}</dd>" in page


@pytest.mark.parametrize(("source", "said"), [("ibkr", "ibkr"), (None, "unknown")])
def test_other_sources_raise_no_alarm(source: str | None, said: str) -> None:
    contract = ContractPage(REPORT, [check(verdict="pass", source=source)])
    page = render(DatePage(date(2026, 11, 18), BEGIN, END, (contract,)))
    assert 'class="banner loud"' not in page
    assert 'class="badge loud"' not in page
    assert f"<dt>source</dt><dd>{said}</dd>" in page
