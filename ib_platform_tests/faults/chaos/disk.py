"""A small disk for the spool, filled to the brim by a ballast file; and files cut at any byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ib_platform.streamer.records import RecordKind
from ib_platform.streamer.segments import SegmentFile, list_segments, read_chunk, size_of
from ib_platform_tests.faults.chaos.evidence import FrameId

DISK_BYTES = 192 * 1024**2
"""Room for several frames of 16 MiB: only the ballast makes it full."""


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs at ``folder``; False where nobody may mount one, then it is an ordinary folder."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ballast:
    """A file that takes all the room there is on the disk of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ballast"

    def fill(self) -> None:
        """Take what is free now; to be repeated while the disk is meant to be full."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT)
        try:
            room = os.fstatvfs(descriptor)
            free = room.f_bavail * room.f_frsize
            if free:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, free)
        except OSError:
            # Somebody else took a part of it: the next look takes the rest.
            return
        finally:
            os.close(descriptor)

    def free(self) -> None:
        self._file.unlink(missing_ok=True)


def frames_in(segment: SegmentFile, paper_user: str) -> set[FrameId]:
    """Frames whose records are complete in the segment."""
    found: set[FrameId] = set()
    offset, end = 0, size_of(segment.path)
    while offset < end:
        chunk = read_chunk(segment.path, offset, end, paper_user)
        found |= {(segment.run_id, r.number) for r in chunk.records if r.kind is RecordKind.FRAME}
        offset = chunk.end
    return found


def frames_of(spool: Path, paper_user: str) -> set[FrameId]:
    """Frames whose records are complete in the spool, and not set aside or kept only."""
    found: set[FrameId] = set()
    for segment in list_segments(spool) if spool.is_dir() else ():
        found |= frames_in(segment, paper_user)
    return found


def truncate(spool: Path, paper_user: str, file: float, byte: float) -> set[FrameId]:
    """Cut a segment: ``file`` and ``byte`` are shares in [0, 1) of how many there are and of its
    length. The frames that it takes away."""
    segments = list_segments(spool) if spool.is_dir() else []
    if not segments:
        return set()
    segment = segments[int(file * len(segments))]
    before = frames_in(segment, paper_user)
    os.truncate(segment.path, int(byte * size_of(segment.path)))
    return before - frames_in(segment, paper_user)
