"""What a clean contract measures, to be changed in one place by each test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict, Verdict
from ib_platform.warehouse.checks.catalogue import BY_CODE
from ib_platform.warehouse.checks.figures import (
    BarFigures,
    BookFigures,
    Measured,
    PodFigures,
    QuoteFigures,
    Rates,
)
from ib_platform.warehouse.checks.judge import check_rows
from ib_platform.warehouse.quality import Facts

FACTS = Facts(
    date_is_open=False,
    assigned=True,
    expected_seconds=10_000.0,
    covered_seconds=10_000.0,
    gap_seconds_by_cause={},
    ladder_frames=20_000,
    crossed_seconds=0.0,
    two_sided_seconds=10_000.0,
    undecodable=0,
    frames_received=30_000,
    frames_stored=30_000,
)
POD = PodFigures(
    received=30_000,
    stored=30_000,
    duplicates=0,
    holes=0,
    monotonic_steps=0,
    wall_steps=0,
    drifted=0,
)
BOOK = BookFigures(
    states=20_000, open_seconds=10_000.0, two_sided_seconds=10_000.0, locked_seconds=0.0,
    locked_states=0, one_sided_seconds=0.0, one_sided_states=0, shaped_states=20_000,
    shallow_states=0, nonpositive_states=0, off_tick_states=0, keyframes=100,
    agreeing_keyframes=90, median_spread=0.01, wide_spreads=0, mid_outliers=0, spikes=0,
    stale_touches=0, longest_touch_seconds=3.0, frozen_sides=0, median_bid_size=4.0,
    median_ask_size=5.0, size_outliers=0,
)  # fmt: skip
QUOTES = QuoteFigures(
    quotes=10_000, without_time=0, steps_back=0, early_quotes=0,
    delays=(0.1, 0.2, 0.3, 0.4, 0.5), compared_quotes=10_000, agreeing_quotes=10_000,
)  # fmt: skip
BARS = BarFigures(wrong=0, bars=7, states_by_size=(20_000,) * 7)
CLEAN = Measured(
    contract="CL.NYMEX.front",
    facts=FACTS,
    spoken=(Verdict.AVAILABLE, []),
    expected_causes=("not_assigned", "maintenance"),
    gaps=0,
    renewal_seconds=540.0,
    pod=POD,
    book=BOOK,
    quotes=QUOTES,
    bars=BARS,
    rates=Rates(120.0, 100.0, 20),
    overlap=(1000, 1000),
    recorded_states=20_000,
    cells=40_000,
    tick_known=True,
    days_left=30,
    roll_due_days=0,
    recorded_seconds=10_000.0,
    conid=1,
    source="ibkr",
)


def changed(**changes: Any) -> Measured:
    """The clean one; ``facts``, ``pod``, ``book``, ``quotes`` and ``bars`` as dicts of changes."""
    parts = {"facts": FACTS, "pod": POD, "book": BOOK, "quotes": QUOTES, "bars": BARS}
    merged: dict[str, Any] = {}
    for name, value in changes.items():
        merged[name] = replace(parts[name], **value) if isinstance(value, dict) else value
    return replace(CLEAN, **merged)


def row(code: str, measured: Measured, **thresholds: Any) -> dict[str, Any]:
    """The row of one check."""
    rows = check_rows(measured, CheckThresholds(**thresholds))
    return next(row for row in rows if row["code"] == code)


def verdict(code: str, measured: Measured, **thresholds: Any) -> CheckVerdict:
    """The verdict of one check."""
    assert code in BY_CODE
    return CheckVerdict(row(code, measured, **thresholds)["verdict"])
