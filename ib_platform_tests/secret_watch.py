"""No secret leaves its file: what a test leaves behind, logs and asks for is searched for secrets.

After each test every file below its ``tmp_path`` is read: logs of processes, spools, captures,
Dagster's storage, records of processes, pictures' texts. Files that are *made* to hold a secret
have the names in ``HOLDERS``. While a test runs, log records of this process and all answers of
health endpoints are searched, and the arguments of the processes that a test starts.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ib_platform.simulator.users import simulated_password

HOLDERS = frozenset({"password", "clickhouse.password", "conf.yaml"})
"""Names of files that hold a secret on purpose; so do all files of a folder ``secrets``."""
_SHORTEST = 8
_USERNAMES = ("papera01", "paperb02")
ALLOWED = "prints_simulated_passwords"
"""Marks a test whose subject shows the invented passwords of the simulator to people."""


class SecretWatch(logging.Handler):
    """Known secrets, and where one was seen. A log record that cannot be formatted is no secret."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[bytes] = set()
        self.begin()
        self.leaks: list[str] = []

    def begin(self) -> None:
        """Know the simulator's secrets only: what another test made up is no secret of this one."""
        self.secrets = {simulated_password(name).encode() for name in _USERNAMES}

    def learn(self, secret: str) -> None:
        """A secret that a test has made up."""
        if len(secret) >= _SHORTEST:
            self.secrets.add(secret.encode())

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += repr(record.exc_info[1])
        self.look(text.encode(), f"a log record of {record.name}")

    def look(self, content: bytes | mmap.mmap, where: str) -> None:
        """Note every secret in ``content``. The secret itself is not noted."""
        for secret in self.secrets:
            if content.find(secret) >= 0:
                self.leaks.append(f"{where} holds a secret of {len(secret)} bytes")

    def look_at_arguments(self, process: psutil.Process) -> None:
        """Its command line, and those of its children."""
        try:
            family = [process, *process.children(recursive=True)]
            for member in family:
                self.look(" ".join(member.cmdline()).encode(), f"arguments of {member.name()}")
        except psutil.NoSuchProcess:
            return

    def look_into(self, folder: Path) -> None:
        """Every file below ``folder``; secrets that its holders hold are learnt first."""
        files = [file for file in _files(folder) if file.stat().st_size]
        for file in files:
            if file.name in ("password", "clickhouse.password"):
                self.learn(file.read_text(errors="replace").strip())
        for file in files:
            if file.name in HOLDERS or file.parent.name == "secrets":
                continue
            with (
                file.open("rb") as stream,
                mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                self.look(content, str(file.relative_to(folder)))

    def told(self) -> list[str]:
        """What was seen since the last call."""
        leaks, self.leaks = sorted(set(self.leaks)), []
        return leaks


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


WATCH = SecretWatch()


@pytest.fixture(autouse=True)
def no_secret_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a secret where it does not belong."""
    used = "tmp_path" in request.fixturenames
    folder: Path | None = request.getfixturevalue("tmp_path") if used else None
    root = logging.getLogger()
    WATCH.begin()
    root.addHandler(WATCH)
    yield
    root.removeHandler(WATCH)
    if folder is not None:
        WATCH.look_into(folder)
    leaks = WATCH.told()
    if request.node.get_closest_marker(ALLOWED) is None:
        assert not leaks, "\n".join(leaks)
