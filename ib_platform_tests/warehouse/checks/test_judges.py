"""The pure judging: the border of every threshold, what is unknown, what stays clean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict, Verdict
from ib_platform.warehouse.checks.catalogue import CHECKS
from ib_platform.warehouse.checks.figures import Measured, Rates
from ib_platform.warehouse.checks.judge import check_rows
from ib_platform_tests.warehouse.checks.measured import CLEAN, FACTS, changed, row, verdict

UNKNOWN_GAP = {"facts": {"gap_seconds_by_cause": {"unknown": 0.1}}}
BROKEN = {CheckVerdict.WARN, CheckVerdict.FAIL}


def test_a_clean_contract_breaks_nothing() -> None:
    rows = check_rows(CLEAN, CheckThresholds())
    assert [row["code"] for row in rows] == [check.code for check in CHECKS]
    assert {row["code"]: row["verdict"] for row in rows if row["verdict"] != "pass"} == {
        "Q07": "report", "Q12": "report", "Q14": "not_applicable",
        **{f"Q{number}": "report" for number in range(19, 25)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "changes", "expected"),
    [
        ("Q01", {"facts": {"covered_seconds": 9950.0}}, "pass"),
        ("Q01", {"facts": {"covered_seconds": 9949.9}}, "warn"),
        ("Q01", {"facts": {"covered_seconds": 9500.0}}, "warn"),
        ("Q01", {"facts": {"covered_seconds": 9499.0}}, "fail"),
        ("Q02", {"facts": {"gap_seconds_by_cause": {"maintenance": 900.0}}}, "pass"),
        ("Q02", {"facts": {"gap_seconds_by_cause": {"disconnected": 0.1}}}, "warn"),
        ("Q02", {"facts": {"gap_seconds_by_cause": {"disconnected": 50.0}}}, "warn"),
        ("Q02", {"facts": {"gap_seconds_by_cause": {"disconnected": 50.1}}}, "fail"),
        ("Q03", {"facts": {"gap_seconds_by_cause": {"maintenance": 50.0}}}, "pass"),
        ("Q03", {**UNKNOWN_GAP, "expected_causes": ("unknown",)}, "warn"),
        ("Q04", {"silent_seconds": 40.0}, "pass"),
        ("Q04", {"silent_seconds": 40.0, "silent_alone_seconds": 40.0}, "unknown"),
        ("Q04", {"silent_seconds": 40.0, "silent_while_others": 40.0}, "fail"),
        ("Q05", {"renewal_seconds": 900.0}, "pass"),
        ("Q05", {"renewal_seconds": 900.1}, "fail"),
        ("Q05", {"renewal_seconds": None}, "not_applicable"),
        ("Q06", {"pod": {"holes": 1}}, "fail"),
        ("Q08", {"pod": {"stored": 29_999}}, "fail"),
        ("Q08", {"pod": {"stored": 30_001}}, "fail"),
        ("Q09", {"pod": {"duplicates": 1}}, "warn"),
        ("Q09", {"pod": {"received": 99, "stored": 99, "duplicates": 1}}, "warn"),
        ("Q09", {"pod": {"received": 98, "stored": 98, "duplicates": 2}}, "fail"),
        ("Q09", {"pod": {"received": 0, "stored": 0}}, "unknown"),
        ("Q10", {"pod": {"wall_steps": 1}}, "warn"),
        ("Q10", {"pod": {"monotonic_steps": 1}}, "fail"),
        ("Q10", {"pod": {"wall_steps": 1}, "source": "simulated"}, "pass"),
        ("Q10", {"pod": {"monotonic_steps": 1}, "source": "replayed"}, "fail"),
        ("Q11", {"quotes": {"delays": (0.0, 1, 1, 1, 1)}}, "pass"),
        ("Q11", {"quotes": {"delays": (-0.001, 1, 1, 1, 1)}}, "fail"),
        ("Q11", {"quotes": {"delays": (1.0, 1, 1, 1, 1)}}, "pass"),
        ("Q11", {"quotes": {"delays": (1.001, 2, 2, 2, 2)}}, "fail"),
        ("Q11", {"quotes": {"delays": (None,) * 5}}, "not_applicable"),
        ("Q11", {"quotes": {"delays": (-1, 1, 1, 1, 1)}, "source": "mixed"}, "not_applicable"),
        ("Q12", {"quotes": None}, "not_applicable"),
        ("Q13", {"facts": {"crossed_seconds": 1.0}}, "pass"),
        ("Q13", {"facts": {"crossed_seconds": 1.1}}, "warn"),
        ("Q13", {"facts": {"crossed_seconds": 10.0}}, "warn"),
        ("Q13", {"facts": {"crossed_seconds": 10.1}}, "fail"),
        ("Q14", {"book": {"locked_states": 2, "locked_seconds": 900.0}}, "report"),
        ("Q15", {"book": {"one_sided_seconds": 10.0}}, "pass"),
        ("Q15", {"book": {"one_sided_seconds": 10.1}}, "warn"),
        ("Q16", {"pod": {"bad_values": {1: 1}}}, "fail"),
        ("Q16", {"pod": {"bad_values": {2: 1, 0: 9}}}, "pass"),
        ("Q16", {"book": {"nonpositive_states": 1}}, "pass"),
        ("Q16", {"book": {"nonpositive_states": 1}, "forbids_nonpositive": True}, "fail"),
        ("Q16", {"book": None, "pod": {"bad_values": {1: 1}}}, "fail"),
        ("Q17", {"book": {"off_tick_states": 1}}, "warn"),
        ("Q17", {"tick_known": False}, "unknown"),
        ("Q18", {"book": {"shallow_states": 20}}, "pass"),
        ("Q18", {"book": {"shallow_states": 21}}, "warn"),
        ("Q25", {"null_cells": 500}, "pass"),
        ("Q25", {"null_cells": 501}, "warn"),
        ("Q25", {"null_cells": 2500}, "warn"),
        ("Q25", {"null_cells": 2501}, "fail"),
        ("Q26", {"rates": Rates(50.0, 100.0, 5)}, "pass"),
        ("Q26", {"rates": Rates(49.9, 100.0, 5)}, "warn"),
        ("Q26", {"rates": Rates(200.0, 100.0, 5)}, "pass"),
        ("Q26", {"rates": Rates(200.1, 100.0, 5)}, "warn"),
        ("Q26", {"rates": Rates(1.0, 100.0, 4)}, "unknown"),
        ("Q26", {"rates": Rates(1.0, None, 0)}, "unknown"),
        ("Q26", {"facts": {"date_is_open": True}}, "unknown"),
        ("Q27", {"pod": {"drifted": 1, "drifts": ["topic xyz"]}}, "warn"),
        ("Q27", {"pod": {"unknown_keys": ["surprise"]}}, "warn"),
        ("Q28", {"overlap": (1000, 990)}, "pass"),
        ("Q28", {"overlap": (1000, 989)}, "warn"),
        ("Q28", {"overlap": None}, "not_applicable"),
        ("Q29", {"quotes": {"agreeing_quotes": 9900}}, "pass"),
        ("Q29", {"quotes": {"agreeing_quotes": 9899}}, "warn"),
        ("Q29", {"quotes": {"compared_quotes": 0}}, "not_applicable"),
        ("Q30", {"days_left": 0}, "pass"),
        ("Q30", {"days_left": -1}, "fail"),
        ("Q30", {"days_left": 3, "roll_due_days": 4}, "warn"),
        ("Q30", {"days_left": 4, "roll_due_days": 4}, "pass"),
        ("Q30", {"days_left": 3, "roll_due_days": None}, "pass"),
        ("Q30", {"days_left": None}, "unknown"),
        ("Q30", {"conid": None}, "unknown"),
        ("Q31", {"bars": {"wrong": 1}}, "fail"),
        ("Q31", {"bars": {"states_by_size": (20_000, 19_999)}}, "fail"),
        ("Q31", {"bars": None}, "unknown"),
        ("Q32", {"spoken": (Verdict.DEGRADED, ["a reason"])}, "warn"),
        ("Q32", {"spoken": (Verdict.MISSING, ["a reason"])}, "fail"),
        ("Q32", {"spoken": (Verdict.PENDING, ["a reason"])}, "unknown"),
        ("Q33", {"suspect_seconds": 10.0}, "pass"),
        ("Q33", {"suspect_seconds": 10.1}, "warn"),
    ],
)  # fmt: skip
def test_the_border_of_a_threshold(code: str, changes: dict[str, Any], expected: str) -> None:
    measured = changed(**changes)
    assert verdict(code, measured) == expected
    others = {
        row["code"]
        for row in check_rows(measured, CheckThresholds())
        if row["verdict"] in BROKEN and row["code"] != code
    }
    assert not others, "exactly this check"


def test_thresholds_can_be_others() -> None:
    measured = changed(facts={"covered_seconds": 9000.0})
    assert verdict("Q01", measured) == "fail"
    assert verdict("Q01", measured, coverage_fail=0.5) == "warn"
    assert verdict("Q01", measured, coverage_fail=0.5, coverage_warn=0.9) == "pass"
    found = row("Q01", measured, coverage_fail=0.5, coverage_warn=0.9)
    assert (found["warn"], found["fail"]) == ("< 0.9", "< 0.5")


@pytest.mark.parametrize("number", range(19, 25))
def test_counts_are_reported_whatever_they_are(number: int) -> None:
    names = {
        19: "wide_spreads", 20: "mid_outliers", 21: "spikes", 22: "stale_touches",
        23: "frozen_sides", 24: "size_outliers",
    }  # fmt: skip
    found = row(f"Q{number}", changed(book={names[number]: 9}))
    assert (found["verdict"], found["value"]) == ("report", 9)
    assert found["explanation"].startswith("9 ")
    nothing_open = row(f"Q{number}", changed(book={"states": 0}))
    assert (nothing_open["verdict"], nothing_open["value"]) == ("unknown", None)


def test_verified_and_clean_are_kept_apart() -> None:
    found = row("Q07", changed(suspect_seconds=1000.0))
    assert found["value"] == 0.9
    assert found["figures"] == {"keyframes": 100, "agreeing_keyframes": 90, "clean": 0.9}
    without = row("Q07", changed(book={"keyframes": 0}))
    assert (without["verdict"], without["figures"]) == ("unknown", {"clean": 1})


def test_without_frames_nothing_of_the_book_is_known() -> None:
    empty = Measured(
        "CL.NYMEX.front", FACTS, (Verdict.MISSING, ["assigned, but no ladder frame"]), (), 0
    )
    rows = check_rows(empty, CheckThresholds())
    judged = {row["code"] for row in rows if row["value"] is not None}
    assert judged == {"Q01", "Q02", "Q03", "Q04"}
    assert {row["verdict"] for row in rows if row["code"] > "Q12" and row["code"] != "Q32"} <= {
        "unknown",
        "not_applicable",
    }


def test_shares_are_shown_rounded_down() -> None:
    found = row("Q01", changed(facts={"covered_seconds": 9_999.9999}))
    assert "(99.9999 %)" in found["explanation"]
    assert found["verdict"] == "pass"


counts = st.integers(0, 30)
seconds = st.floats(0, 10_000)


@given(
    covered=seconds,
    gaps=st.dictionaries(st.sampled_from(["unknown", "disconnected", "maintenance"]), seconds),
    crossed=seconds,
    one_sided=seconds,
    holes=counts,
    duplicates=counts,
    null_cells=counts,
    agreeing=counts,
    days=st.none() | st.integers(-5, 50),
    source=st.sampled_from([None, "ibkr", "simulated", "replayed", "mixed"]),
    is_open=st.booleans(),
)
def test_every_row_is_whole(
    covered: float,
    gaps: dict[str, float],
    crossed: float,
    one_sided: float,
    holes: int,
    duplicates: int,
    null_cells: int,
    agreeing: int,
    days: int | None,
    source: str | None,
    is_open: bool,
) -> None:
    measured = changed(
        facts={"covered_seconds": covered, "gap_seconds_by_cause": gaps,
               "crossed_seconds": crossed, "date_is_open": is_open},
        book={"one_sided_seconds": one_sided},
        pod={"holes": holes, "duplicates": duplicates},
        null_cells=null_cells, overlap=(30, agreeing), days_left=days, source=source,
    )  # fmt: skip
    for found in check_rows(measured, CheckThresholds()):
        assert found["explanation"]
        assert found["verdict"] in list(CheckVerdict)
        unmeasured = found["verdict"] in ("unknown", "not_applicable")
        assert (found["value"] is None) == (unmeasured or found["code"] == "Q32")
        if found["unit"] == "share" and found["value"] is not None:
            assert 0 <= found["value"] <= 1
        if found["warn"] is None and found["fail"] is None:
            assert found["verdict"] in ("report", "unknown", "not_applicable")


@given(better=seconds, worse=seconds)
def test_more_coverage_is_never_worse(better: float, worse: float) -> None:
    better, worse = max(better, worse), min(better, worse)
    order = ["fail", "warn", "pass"]
    of_better = verdict("Q01", changed(facts={"covered_seconds": better}))
    of_worse = verdict("Q01", changed(facts={"covered_seconds": worse}))
    assert order.index(of_better) >= order.index(of_worse)
