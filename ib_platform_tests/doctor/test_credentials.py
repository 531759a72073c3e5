"""Credentials as a login reads them; two paper users never share a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.doctor.credentials import check_credentials
from ib_platform.doctor.finding import Level
from ib_platform_tests.doctor.findings import levels, with_credentials
from ib_platform_tests.support import make_config

SECRET = "corect-horse-9"


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state")


def password(file: Path, mode: int = 0o600) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SECRET)
    file.chmod(mode)
    return file


def test_nobody_has_any(config: PlatformConfig) -> None:
    assert levels(check_credentials(config)) == [Level.OK, Level.OK], "the simulator is logged in"
    found = list(check_credentials(with_credentials(config)))
    assert levels(found) == [Level.WARNING, Level.WARNING]
    assert "nobody logs in" in found[0].text


def test_a_private_file_and_a_world_readable_one(config: PlatformConfig, tmp_path: Path) -> None:
    good = password(tmp_path / "alpha")
    bad = password(tmp_path / "beta", 0o644)
    config = with_credentials(config, alpha={"password_file": good}, beta={"password_file": bad})
    first, second = check_credentials(config)
    assert levels([first, second]) == [Level.OK, Level.PROBLEM]
    assert str(bad) in second.text
    assert "beta cannot log in" in second.text
    assert SECRET not in f"{first}{second}"


def test_a_missing_file(config: PlatformConfig, tmp_path: Path) -> None:
    config = with_credentials(config, alpha={"folder": tmp_path / "none"})
    found, _ = check_credentials(config)
    assert found.level is Level.PROBLEM
    assert str(tmp_path / "none") in found.text


def test_two_paper_users_with_one_password_file(config: PlatformConfig, tmp_path: Path) -> None:
    file = password(tmp_path / "secret" / "password")
    link = tmp_path / "link"
    link.symlink_to(file)
    config = with_credentials(config, alpha={"folder": file.parent}, beta={"password_file": link})
    *_, shared = check_credentials(config)
    assert shared.level is Level.PROBLEM
    assert "alpha and beta read the same file" in shared.text
