"""The folder of a browser, and what is done with those whose owner was killed."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ib_platform.gateway.browser_folder import BrowserFolder, remove_abandoned

KILLED_OWNER = (
    "import os, signal\nfrom ib_platform.gateway.browser_folder import BrowserFolder\n"
    "folder = BrowserFolder()\n(folder.path / 'Cookies').write_text('USERID')\n"
    "print(folder.path, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_its_owners_alone_and_goes(temporary: Path) -> None:
    folder = BrowserFolder()
    assert folder.path.parent == temporary
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "profile").mkdir()
    assert folder.remove()
    assert not list(temporary.iterdir())


def test_a_folder_in_use_stays() -> None:
    folder = BrowserFolder()
    assert remove_abandoned() == []
    assert folder.path.exists()
    assert folder.remove()


def test_a_killed_owner_leaves_a_folder_to_the_next() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", KILLED_OWNER], capture_output=True, text=True, check=False
    )
    left = Path(answer.stdout.strip())
    assert (left / "Cookies").exists(), answer.stderr
    assert remove_abandoned() == [left]
    assert not left.exists()


def test_what_is_not_ours_stays(temporary: Path) -> None:
    folder = temporary / "ib_platform_login.without_lock"
    folder.mkdir()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "owner.lock").touch()
    (temporary / "ib_platform_login.link").symlink_to(elsewhere)
    (temporary / "ib_platform_login.file").touch()
    assert remove_abandoned() == []
    assert folder.exists()
    assert elsewhere.exists()
