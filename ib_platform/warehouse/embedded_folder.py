"""The folder of the embedded engine: its owner, its password, its configuration file.

FOLDER/              mode 0700
  owner.lock         held by the process that serves; the system frees it when that dies
  owner.pid          who holds it, for the message of the second one
  engine.xml         written at every start
  data/              chDB's
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import SecretStr

from ib_platform.config import ClickHouse
from ib_platform.errors import ConfigurationError, PlatformInUseError

# chDB takes folder and options as one address; these characters end the folder in it.
_FORBIDDEN = frozenset("?&#%")


def prepare_folder(settings: ClickHouse) -> Path:
    """Create ``settings.embedded_folder`` (0700) and return it.

    Raises:
        ConfigurationError: not set, not a writable folder, or a name that chDB cannot open.
    """
    folder = settings.embedded_folder
    if folder is None:
        raise ConfigurationError(
            "clickhouse.embedded_folder is not set: name the folder for the embedded ClickHouse's "
            "data, or leave `ib-platform clickhouse` alone and use a server."
        )
    folder = folder.absolute()
    if bad := sorted(_FORBIDDEN & set(str(folder))):
        raise ConfigurationError(
            f"{folder}: clickhouse.embedded_folder must not contain {' '.join(bad)}"
        )
    with _writable(folder, "clickhouse.embedded_folder"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    return folder


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own ``folder`` while the block runs; PlatformInUseError if another process does."""
    pid_file = folder / "owner.pid"
    lock = FileLock(folder / "owner.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        owner = pid_file.read_text().strip() if pid_file.exists() else "unknown"
        raise PlatformInUseError(
            f"{folder}: the embedded ClickHouse of process {owner} owns this folder. Stop that "
            "process, or set another clickhouse.embedded_folder."
        ) from error
    try:
        pid_file.write_text(f"{os.getpid()}\n")
        yield
        pid_file.unlink(missing_ok=True)
    finally:
        lock.release()


def ensure_password(settings: ClickHouse) -> SecretStr:
    """The password of ``settings.password_file``; a random one is written (0600) if it is missing.

    Raises:
        ConfigurationError: not set, readable by others, empty, or not to be written.
    """
    file = settings.password_file
    if file is None:
        raise ConfigurationError(
            "clickhouse.password_file is not set: name the file where the embedded ClickHouse "
            "keeps its password."
        )
    with _writable(file, "clickhouse.password_file"):
        if not file.exists():
            _write_password(file)
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"{file}: others can read the password file. Run `chmod 600 {file}`, or delete it: "
                "the next start writes a new password."
            )
        password = SecretStr(file.read_text(encoding="utf-8").strip())
    if not password.get_secret_value():
        raise ConfigurationError(
            f"{file}: the password file is empty. Delete it: the next start writes a new password."
        )
    return password


def _write_password(file: Path) -> None:
    """Whole or not at all, so that a client that reads meanwhile never sees half a password."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(secrets.token_urlsafe(32) + "\n")
    draft.rename(file)


def write_engine_config(folder: Path, memory_bytes: int) -> Path:
    """The engine's configuration file. Caches share an eighth of the memory, since their defaults
    of 5 GiB would leave nothing for statements."""
    file = folder / "engine.xml"
    file.write_text(
        "<clickhouse>\n"
        f"  <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>\n"
        f"  <mark_cache_size>{memory_bytes // 16}</mark_cache_size>\n"
        f"  <index_mark_cache_size>{memory_bytes // 32}</index_mark_cache_size>\n"
        f"  <uncompressed_cache_size>{memory_bytes // 32}</uncompressed_cache_size>\n"
        "  <timezone>UTC</timezone>\n"
        "</clickhouse>\n",
        encoding="utf-8",
    )
    return file


@contextmanager
def _writable(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be written ({error.strerror}). Set {key} to a place that "
            "this user may write to."
        ) from error
