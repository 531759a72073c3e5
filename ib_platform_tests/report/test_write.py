"""Where a page can be written, and what is left and said where it cannot."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ib_platform.errors import SelectionError
from ib_platform.report.day import DatePage
from ib_platform.report.page import render
from ib_platform.report.write import write_read_page

BEGIN = datetime(2026, 11, 17, 22, 30, tzinfo=UTC)
DAY = DatePage(date(2026, 11, 18), BEGIN, BEGIN + timedelta(days=1))
LONGEST_NAME = 255
"""Of Linux' file systems, in bytes."""


def test_an_older_page_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("an older one, which is a good deal longer" * 1000)
    written = write_read_page(DAY, file)
    assert file.read_text(encoding="utf-8") == render(DAY)
    assert written == file.stat().st_size
    assert list(tmp_path.iterdir()) == [file]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    file = tmp_path / ("n" * (LONGEST_NAME - 5) + ".html")
    write_read_page(DAY, file)
    assert list(tmp_path.iterdir()) == [file]


def _in_no_folder(folder: Path) -> Path:
    return folder / "nowhere" / "page.html"


def _below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("kept")
    return folder / "file" / "page.html"


def _a_folder(folder: Path) -> Path:
    (folder / "page").mkdir()
    return folder / "page"


def _a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _this_folder(_: Path) -> Path:
    return Path()


def _too_long(folder: Path) -> Path:
    return folder / ("n" * (LONGEST_NAME + 1))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (_in_no_folder, "No such file or directory"),
        (_below_a_file, "Not a directory"),
        (_a_folder, "is no file that could be replaced"),
        (_a_pipe, "is no file that could be replaced"),
        (_this_folder, "is no file that could be replaced"),
        (_too_long, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[Path], Path],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SelectionError, match=reason) as refused:
        write_read_page(DAY, file)
    assert str(file) in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may become longer than 1,000 bytes, which fails in the middle as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
def test_a_page_that_is_cut_off_leaves_the_older_one(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("older")
    with pytest.raises(SelectionError, match="File too large"):
        write_read_page(DAY, file)
    assert file.read_text() == "older"
    assert list(tmp_path.iterdir()) == [file]
