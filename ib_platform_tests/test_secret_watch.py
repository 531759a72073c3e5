"""The watch itself: it finds what it is there to find."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform_tests.secret_watch import SecretWatch

SECRET = "simulated-papera01"


@pytest.fixture
def watch() -> SecretWatch:
    return SecretWatch()


@pytest.mark.parametrize("name", ["gateway.log", "deep/er/0001.segment", "events.db"])
def test_a_secret_in_a_file_is_found(watch: SecretWatch, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "left"
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x00 before " + SECRET.encode() + b" after")
    watch.look_into(folder)
    (leak,) = watch.told()
    file.unlink()
    assert leak.startswith(name)
    assert SECRET not in leak
    assert watch.told() == []


def test_the_files_that_hold_secrets_are_learnt_from(watch: SecretWatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a password of its own\n")
    watch.look_into(tmp_path)
    assert watch.told() == []
    log = tmp_path / "log"
    log.write_text("connecting with a password of its own")
    watch.look_into(tmp_path)
    log.unlink()
    assert len(watch.told()) == 1


def test_log_records_and_their_exceptions_are_searched(watch: SecretWatch) -> None:
    logger = logging.Logger("some.module")
    logger.addHandler(watch)
    logger.info("nothing")
    assert watch.told() == []
    logger.info("password %s", SECRET)
    assert len(watch.told()) == 1
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("it failed")
    assert len(watch.told()) == 1


def test_arguments_of_processes_are_searched(watch: SecretWatch) -> None:
    sleeper = [sys.executable, "-c", "input()", SECRET]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE) as process:
        watch.look_at_arguments(psutil.Process(process.pid))
    assert len(watch.told()) == 1
