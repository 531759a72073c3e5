"""Which numbers a span misses: its edges, its neighbours, and what is older than the record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.verify.account import RunAccount, RunEnd
from ib_platform.warehouse.verify.evidence import Case, Mark, StoredRun
from ib_platform.warehouse.verify.findings import Kind, Standing
from ib_platform.warehouse.verify.missing import missing_numbers
from ib_platform_tests.support import PATIENT

SPAN = Span(100, 200)


def account(
    started_at: int | None, end_at: int | None = None, next_seq: int | None = None
) -> RunAccount:
    end = None if end_at is None else RunEnd(end_at, True, next_seq)
    return RunAccount("r", "alpha", started_at, end)


def stored(
    lowest: Mark | None, highest: Mark | None, *, previous: bool = False, following: bool = False
) -> StoredRun:
    return StoredRun(lowest=lowest, highest=highest, has_previous=previous, has_following=following)


def missing(known: RunAccount, found: StoredRun, kept_from: int | None = None) -> list[Span]:
    return missing_numbers(Case(known), found, SPAN, kept_from)


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        # Nothing is stored of a run that says it received five.
        (account(110, 150, 5), stored(None, None), [Span(0, 5)]),
        # The same, but before the span, behind it, around it.
        (account(10, 99, 5), stored(None, None), []),
        (account(200, 250, 5), stored(None, None), []),
        (account(10, 250, 5), stored(None, None), [Span(0, 5)]),
        # It received nothing at all, or does not say.
        (account(110, 150, 0), stored(None, None), []),
        (account(110, 150, None), stored(None, None), []),
        (account(110), stored(None, None), []),
        # First and last numbers.
        (account(110, 150, 9), stored(Mark(2, 120), Mark(5, 140)), [Span(0, 2), Span(6, 9)]),
        # The start was never stored: the contract still is that numbers begin at 0.
        (account(None), stored(Mark(2, 120), Mark(5, 140)), [Span(0, 2)]),
        # A neighbour outside of the span bounds what the span can miss.
        (account(10), stored(Mark(2, 90), Mark(5, 140), previous=True), []),
        (account(110, 250, 9), stored(Mark(0, 120), Mark(7, 210), following=True), []),
        # It ended behind the span, and so did its last stored frame.
        (account(110, 300, 9), stored(Mark(0, 120), Mark(7, 210)), []),
        # It stopped behind the span, and its last frames may have been in it.
        (account(110, 300, 9), stored(Mark(0, 120), Mark(7, 190)), [Span(8, 9)]),
        # More is stored than the run says: no range, whatever else that is.
        (account(110, 150, 3), stored(Mark(0, 120), Mark(7, 140)), []),
    ],
)
def test_the_edges_of_a_run(known: RunAccount, found: StoredRun, expected: list[Span]) -> None:
    assert missing(known, found) == expected


@pytest.mark.parametrize(
    ("kept_from", "counts"), [(None, True), (105, True), (110, True), (111, False)]
)
def test_what_began_before_the_record_is_unknown(kept_from: int | None, counts: bool) -> None:
    case = Case(account(110))
    found = missing_numbers(case, stored(Mark(4, 150), Mark(9, 160)), SPAN, kept_from)
    assert found == ([Span(0, 4)] if counts else [])
    words = [(finding.kind, finding.standing) for finding in case.findings]
    assert words == ([] if counts else [(Kind.NO_BEGINNING, Standing.UNKNOWN)])


@PATIENT
@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 9))
def test_a_run_concerns_a_span_when_they_touch(start: int, length: int, frames: int) -> None:
    known = account(start, start + length, frames)
    touches = start < SPAN.end and start + length >= SPAN.begin
    assert missing(known, stored(None, None)) == ([Span(0, frames)] if touches else [])


@PATIENT
@given(st.sets(st.integers(0, 30), min_size=1), st.integers(0, 40))
def test_ranges_are_disjoint_ascending_and_never_stored(numbers: set[int], end: int) -> None:
    low, high = min(numbers), max(numbers)
    gaps = tuple(Span(n, n + 1) for n in range(low, high) if n not in numbers)
    found = StoredRun(lowest=Mark(low, 120), highest=Mark(high, 140), holes=gaps, missing=len(gaps))
    ranges = missing(account(110, 150, end), found)
    assert ranges == sorted(ranges)
    listed = [n for begin, behind in ranges for n in range(begin, behind)]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(range(max(end, high + 1))) - numbers
