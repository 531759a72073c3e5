"""Stretches as bands of a plot, and what of a contract counts as recorded."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from matplotlib.dates import date2num

from ib_platform.report import colours, words
from ib_platform.report.bands import at, bands
from ib_platform.report.day import ContractPage, DatePage, Stretch
from ib_platform.report.plots import day_plot

BEGIN = datetime(2026, 11, 17, 22, 30, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
LIMITS = (at(BEGIN), at(END))
THINNEST = 0.0009


def stretch(begin: timedelta, length: timedelta, what: str = "crossed_book") -> Stretch:
    return Stretch(BEGIN + begin, BEGIN + begin + length, what)


def contract(**parts: list[Stretch]) -> ContractPage:
    return ContractPage({"contract": "CL.NYMEX.front"}, [], **parts)


def plot(of: ContractPage) -> str:
    return day_plot(of, DatePage(date(2026, 11, 18), BEGIN, END, (of,)))


def drawn(svg: str, colour: str) -> int:
    """How many shapes have that colour, the one of the legend included."""
    return len(re.findall(f"fill: {colour}", svg))


def test_an_instant_lies_where_matplotlib_puts_it() -> None:
    for instant in (BEGIN, BEGIN + timedelta(microseconds=1), END):
        assert at(instant) == pytest.approx(float(date2num(instant)), abs=1e-10)


def test_stretches_are_apart_by_what_they_are() -> None:
    found = bands([stretch(HOUR, HOUR, "late_stamps"), stretch(HOUR, HOUR)], LIMITS)
    span = (pytest.approx(at(BEGIN + HOUR)), pytest.approx(at(BEGIN + 2 * HOUR)))
    assert found == {"crossed_book": [span], "late_stamps": [span]}
    assert list(found) == ["crossed_book", "late_stamps"]


def test_what_is_short_is_wide_enough_to_be_seen() -> None:
    ((begin, end),) = bands([stretch(HOUR, timedelta(0))], LIMITS)["crossed_book"]
    assert begin == pytest.approx(at(BEGIN + HOUR))
    assert end - begin == pytest.approx(THINNEST, rel=1e-3)


def test_thousands_of_short_windows_are_as_many_bands_as_there_is_room_for() -> None:
    many = [stretch(n * SECOND, 0.3 * SECOND) for n in range(0, 86_000, 2)]
    (found,) = bands(many, LIMITS).values()
    assert len(found) == 1
    sparse = [stretch(n * SECOND, 0.3 * SECOND) for n in range(0, 86_000, 100)]
    (found,) = bands(sparse, LIMITS).values()
    assert len(found) == len(sparse)
    assert all(left[1] < right[0] for left, right in pairwise(found))


def test_what_lies_outside_is_cut_off() -> None:
    left, right = LIMITS
    found = bands([stretch(-3 * HOUR, HOUR), stretch(-HOUR, 2 * HOUR)], LIMITS)
    assert found == {"crossed_book": [(pytest.approx(left), pytest.approx(at(BEGIN + HOUR)))]}
    assert not bands([stretch(25 * HOUR, HOUR)], LIMITS)
    assert bands([stretch(23 * HOUR, 9 * HOUR)], LIMITS)["crossed_book"][0][1] <= right + 1e-9


def test_recorded_is_what_was_followed_and_no_gap() -> None:
    # Two pods follow it at a time, and a loss lies inside what they followed.
    page = contract(
        followed=[
            stretch(HOUR, 3 * HOUR, "followed"),
            stretch(2 * HOUR, 4 * HOUR, "followed"),
            stretch(8 * HOUR, HOUR, "followed"),
        ],
        gaps=[stretch(3 * HOUR, HOUR, "disk_full"), stretch(6 * HOUR, 2 * HOUR, "unknown")],
    )
    assert page.recorded == [
        stretch(HOUR, 2 * HOUR, "recorded"),
        stretch(4 * HOUR, 2 * HOUR, "recorded"),
        stretch(8 * HOUR, HOUR, "recorded"),
    ]


def test_hours_still_to_come_are_not_drawn_as_recorded() -> None:
    phases = [Stretch(BEGIN, END, "open")]
    nothing = plot(contract(phases=phases))
    assert drawn(nothing, colours.RECORDED) == 0
    assert ">recorded</text>" in nothing, "the lane has its name"
    begun = contract(phases=phases, followed=[stretch(HOUR, HOUR, "followed")])
    longer = contract(phases=phases, followed=[stretch(HOUR, 2 * HOUR, "followed")])
    assert drawn(plot(begun), colours.RECORDED) > 0
    assert plot(begun) != plot(longer)


def test_a_day_of_many_windows_makes_no_bigger_picture() -> None:
    many = [stretch(n * SECOND, 0.3 * SECOND) for n in range(0, 86_000, 10)]
    assert len(plot(contract(suspects=many))) < 1.2 * len(plot(contract(suspects=many[:1])))


def test_hours_are_told_by_both_clocks() -> None:
    svg = plot(contract(phases=[Stretch(BEGIN, END, "open")]))
    assert ">Chicago above, UTC below</text>" in svg
    # 24 hours, a label every two, by Chicago's even or odd hours.
    assert re.search(r">18:00</text>", svg)
    assert re.search(r">00:00</text>", svg)


def test_an_instant_with_its_date_by_both_clocks() -> None:
    text = words.dated(datetime(2026, 11, 18, 3, 4, 5, tzinfo=UTC))
    assert text == "2026-11-17 21:04:05 Chicago, 2026-11-18 03:04:05 UTC"
