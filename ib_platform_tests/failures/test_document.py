"""The page of failures says what the tests play."""

from __future__ import annotations

from ib_platform_tests.failures.document import ALL, MEASURED, PAGE, rendered


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == rendered(), "UPDATE_DOCS=1 with these tests writes it anew"


def test_every_failure_was_measured() -> None:
    text = MEASURED.read_text()
    assert [f.name for f in ALL if f'"{f.name}"' not in text] == []


def test_names_are_unique() -> None:
    names = [failure.name for failure in ALL]
    assert len(set(names)) == len(names)
