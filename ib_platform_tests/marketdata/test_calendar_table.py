"""The file of holidays is what the library says, and our own corrections are needed."""

from __future__ import annotations

from importlib.resources import files

from ib_platform.marketdata import sessions
from ib_platform.marketdata.sessions import read_calendar_file, weekly_hours
from ib_platform_tests.marketdata.calendar_table import FILE, FIRST, LAST, table


def test_the_file_is_what_the_library_says() -> None:
    """Else run ``python -m ib_platform_tests.marketdata.calendar_table``: what has changed?"""
    assert FILE.read_text() == table()


def test_no_correction_repeats_the_library() -> None:
    theirs = read_calendar_file(table(), "the library's")
    name = sessions.CALENDAR_FILES[1]
    ours = read_calendar_file(files("ib_platform.marketdata").joinpath(name).read_text(), name)
    assert ours, "without corrections this test shows nothing"
    for (calendar, day), other in ours.items():
        assert FIRST <= day <= LAST
        said = theirs.get((calendar, day))
        assert other.hours != (weekly_hours(calendar) if said is None else said.hours), day
        assert other.reason
        assert other.source
