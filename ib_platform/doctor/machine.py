"""Disk and memory: what a recording needs while nobody looks."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Finding, ok, problem, warning

DISK, MEMORY, STATE_DIR = "disk", "memory", "state_dir"
GIB = 1024**3
_SCARCE, _TOO_LITTLE = 10 * GIB, 1 * GIB
_BYTES_A_FRAME, _FRAMES_A_SECOND = 349, 3
"""Mean payload of the recorded ladder frames (docs/benchmarks.md), their pace in a busy hour."""
_BYTES_A_DAY = _BYTES_A_FRAME * _FRAMES_A_SECOND * 86_400
_STREAMER, _SUPERVISOR = 120 * 1024**2, 70 * 1024**2
"""Resident memory, docs/benchmarks.md."""
_FREE_SPACE = "Free space, or move it to a larger disk."


def check_disk(config: PlatformConfig) -> Iterator[Finding]:
    """Space, and whether what is written there survives."""
    ladders = sum(len(contract.keys) for contract in config.contracts)
    yield from _folder("runtime.state_dir", config.runtime.state_dir, ladders)
    embedded = config.clickhouse.embedded_folder
    if embedded is not None:
        yield from _folder("clickhouse.embedded_folder", embedded, 0)


def _folder(key: str, folder: Path, ladders: int) -> Iterator[Finding]:
    """``ladders``: how many are spooled there."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{key} {folder}: {free / GIB:.1f} GiB free"
    if ladders:
        bytes_a_day = _BYTES_A_DAY * ladders
        text += (
            f", about {free / bytes_a_day:,.0f} days of spool should ClickHouse be away "
            f"({bytes_a_day / 1e6:,.0f} MB a day, {ladders} ladders of {_FRAMES_A_SECOND} frames "
            "a second)"
        )
    if free < _TOO_LITTLE:
        yield problem(DISK, f"{text}; a full disk loses frames", _FREE_SPACE)
    elif free < _SCARCE:
        yield warning(DISK, text, _FREE_SPACE)
    else:
        yield ok(DISK, text)
    yield _durable(key, folder, existing)


def _durable(key: str, folder: Path, existing: Path) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".doctor-") as probe:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return problem(
            DISK,
            f"{key} {folder}: nothing can be written and synced in {existing} ({error.strerror}); "
            "no frame can be recorded",
            "Give the user who runs the pods the right to write there, or choose another folder.",
        )
    return ok(DISK, f"{key} {folder}: writable, fsync works")


def check_state_dir(config: PlatformConfig) -> Iterator[Finding]:
    """Who owns it: a pod that was once started by root leaves files that nobody else may write."""
    folder = config.runtime.state_dir
    if not folder.exists():
        yield ok(STATE_DIR, f"{folder} does not exist yet; the first pod makes it")
        return
    foreign = [path for path in _first_levels(folder) if path.lstat().st_uid != os.geteuid()]
    if foreign:
        yield problem(
            STATE_DIR,
            f"{len(foreign)} entries below {folder} belong to another user, the first is "
            f"{foreign[0]}; pods of this user cannot write them",
            f"Run doctor as the user of the pods, or `chown -R` {folder} to that user.",
        )
        return
    if folder.stat().st_mode & stat.S_IWOTH:
        yield problem(
            STATE_DIR,
            f"{folder} may be written by everybody: anybody may change the record",
            f"Run `chmod o-w {folder}`.",
        )
        return
    yield ok(STATE_DIR, f"{folder} belongs to this user")


def _first_levels(folder: Path) -> Iterator[Path]:
    yield folder
    for pattern in ("*", "*/*"):
        yield from sorted(folder.glob(pattern))


def check_memory(config: PlatformConfig) -> Iterator[Finding]:
    """What all pods and the embedded ClickHouse may use, against what this machine has."""
    java = config.gateway.java
    program = (
        java.memory_megabytes * 1024**2 if config.gateway.program == "java" and java else _STREAMER
    )
    needed = len(config.paper_users) * (_STREAMER + _SUPERVISOR + program)
    if config.clickhouse.embedded_folder is not None:
        needed += config.clickhouse.embedded_memory_bytes
    memory = psutil.virtual_memory()
    text = (
        f"{memory.total / GIB:.1f} GiB, {memory.available / GIB:.1f} available; "
        f"pods and embedded ClickHouse may use {needed / GIB:.1f}"
    )
    if needed > memory.total:
        yield warning(
            MEMORY,
            f"{text}: the system may end a pod when they do",
            "Lower clickhouse.embedded_memory_bytes, or use a larger machine.",
        )
    else:
        yield ok(MEMORY, text)
