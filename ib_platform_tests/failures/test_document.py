"""The page of failures says what the tests play."""

from __future__ import annotations

from ib_platform_tests.failures.document import ALL, BROWSER, MEASURED, PAGE, rendered
from ib_platform_tests.failures.table_of_logins import OF_LOGINS

NAMES = [failure.name for failure in ALL] + [failure.name for failure in OF_LOGINS] + [BROWSER]


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == rendered(), "UPDATE_DOCS=1 with these tests writes it anew"


def test_every_failure_was_measured() -> None:
    text = MEASURED.read_text()
    assert [name for name in NAMES if f'"{name}"' not in text] == []


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
