"""Segment files of a spool folder: their names, their headers, and reading records out of them.

A segment is named ``<run_id>.<number:06d>.spool``; numbers of a run count from 0. What was cut off
a torn one stays beside it as ``.torn`` until the run is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.records import (
    HEADER_BYTES_AT_MOST,
    Record,
    ScanEnd,
    SegmentHeader,
    decode_segment_header,
    find_record,
    scan_records,
)

CHUNK_BYTES = 8 * 1024**2
_NAME = re.compile(r"([A-Za-z0-9-]+)\.(\d{6,})\.(spool|torn)")


class Position(msgspec.Struct, frozen=True):
    """A place between two records. ``offset`` is in bytes of the segment file; 0: its first."""

    run_id: str
    segment: int
    offset: int


@dataclass(frozen=True, order=True, slots=True)
class SegmentFile:
    """One segment of one run. Orders by run (oldest first, by its name), then number."""

    run_id: str
    number: int
    path: Path

    @property
    def torn_path(self) -> Path:
        """Where the bytes go that were cut off this segment."""
        return self.path.with_suffix(".torn")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of ``[begin, end)`` of a segment; ``skipped`` of these bytes are no record."""

    records: list[Record]
    end: int
    skipped: int = 0


def segment_file(folder: Path, run_id: str, number: int) -> SegmentFile:
    """The name of a segment, whether it exists or not."""
    if re.fullmatch(r"[A-Za-z0-9-]+", run_id) is None:
        raise SpoolError(f"run id {run_id!r} cannot name a file: letters, digits and '-' only")
    return SegmentFile(run_id, number, folder / f"{run_id}.{number:06d}.spool")


def list_segments(folder: Path) -> list[SegmentFile]:
    """All segments of the folder, ordered. Files with other names are left alone."""
    return _listed(folder, "spool")


def list_torn(folder: Path) -> list[SegmentFile]:
    """Segments that something was cut off from, whether they still exist or not."""
    return _listed(folder, "torn")


def _listed(folder: Path, suffix: str) -> list[SegmentFile]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise SpoolError(f"{folder}: the spool folder cannot be listed ({error})") from error
    matches = (_NAME.fullmatch(name) for name in names)
    return sorted(
        segment_file(folder, match[1], int(match[2]))
        for match in matches
        if match is not None and match[3] == suffix
    )


def segment_sizes(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Run, number and bytes of all segments of the folder, in any order. Raises SpoolError."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = _NAME.fullmatch(entry.name)
                if match is not None and match[3] == "spool":
                    with suppress(FileNotFoundError):
                        yield match[1], int(match[2]), entry.stat().st_size
    except OSError as error:
        raise SpoolError(f"{folder}: the spool folder cannot be listed ({error})") from error


def size_of(path: Path) -> int:
    """Bytes in the file, 0 where it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read_header(path: Path, paper_user: str) -> tuple[SegmentHeader, int] | None:
    """The header and the offset of the first record, None where the header itself was torn.

    Raises:
        SpoolError: unreadable, foreign, newer, or a segment of another paper user.
    """
    found = decode_segment_header(_read(path, 0, HEADER_BYTES_AT_MOST), str(path))
    if found is not None and found[0].paper_user != paper_user:
        raise SpoolError(
            f"{path}: belongs to paper user {found[0].paper_user!r}, not {paper_user!r}. "
            "Each paper user has a spool folder of its own; move the file into the right one."
        )
    return found


def first_record_offset(path: Path, paper_user: str) -> int | None:
    """Offset of the first record, None where the header itself was torn.

    Raises:
        SpoolError: as ``read_header``.
    """
    found = read_header(path, paper_user)
    return None if found is None else found[1]


def read_chunk(
    path: Path, begin: int, end: int, paper_user: str, max_records: int | None = None
) -> Chunk:
    """The next complete records of a segment between the offsets ``begin`` and ``end``.

    ``begin`` 0 means the first record. Bytes that are no record are stepped over, counted in
    ``skipped``; no records and ``end`` as given means that there are none left. About 8 MiB at a
    time, more only for a record that is larger. The same file and range give the same answer.

    Raises:
        SpoolError: as ``first_record_offset``.
    """
    if begin == 0:
        begin = first_record_offset(path, paper_user) or 0
    if begin >= end:
        return Chunk([], end)
    scan = scan_records(_read(path, begin, min(CHUNK_BYTES, end - begin)), 0, max_records)
    if scan.records:
        return Chunk(scan.records, begin + scan.end)
    rest = _read(path, begin, end - begin)
    scan = scan_records(rest, 0, max_records)
    if scan.records:
        return Chunk(scan.records, begin + scan.end)
    found = find_record(rest, 1)
    if found is None:
        return Chunk([], end, end - begin)
    scan = scan_records(rest, found, max_records)
    return Chunk(scan.records, begin + scan.end, found)


def read_records(
    path: Path, begin: int, end: int, paper_user: str, at_once: int | None = None
) -> Iterator[list[Record]]:
    """All complete records between two offsets, in pieces of at most ``at_once``; what is no record
    is stepped over. Raises SpoolError as ``read_chunk``."""
    while begin < end:
        chunk = read_chunk(path, begin, end, paper_user, at_once)
        if chunk.records:
            yield chunk.records
        begin = chunk.end


def records_between(folder: Path, paper_user: str, begin: Position, end: Position) -> list[Record]:
    """Records between two positions of one segment. Raises SpoolError as ``read_chunk``."""
    path = segment_file(folder, end.run_id, end.segment).path
    return list(chain.from_iterable(read_records(path, begin.offset, end.offset, paper_user)))


def end_of_records(path: Path, paper_user: str) -> int:
    """Offset behind the last complete record: what follows it is a torn tail. 0: none."""
    offset = first_record_offset(path, paper_user) or 0
    data = _read(path, 0, size_of(path))
    while True:
        scan = scan_records(data, offset)
        if scan.status is ScanEnd.CLEAN:
            return scan.end
        found = find_record(data, scan.end + 1)
        if found is None:
            return scan.end
        offset = found


def cut_tail(segment: SegmentFile, keep: int) -> None:
    """Move everything behind ``keep`` into the segment's ``.torn`` file. Safe to repeat."""
    try:
        tail = _read(segment.path, keep, size_of(segment.path) - keep)
        with open(segment.torn_path, "wb") as torn:
            torn.write(tail)
            torn.flush()
            os.fsync(torn.fileno())
        if keep == 0:
            segment.path.unlink()
        else:
            os.truncate(segment.path, keep)
        sync_folder(segment.path.parent)
    except OSError as error:
        raise SpoolError(f"{segment.path}: the torn tail cannot be cut off ({error})") from error


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed names of ``folder`` durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable. Raises SpoolError."""
    try:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise SpoolError(f"{path}: cannot be synced ({error})") from error


def _read(path: Path, offset: int, length: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise SpoolError(f"{path}: cannot be read ({error})") from error
