"""A spool, compared with what is stored. Read only: its streamer may be running.

No lock is taken and nothing is written. The manifest is read before any segment, and each piece of
a segment before its rows: so what the manifest calls acknowledged must be among the rows, and what
it does not may still come. A segment that is freed meanwhile is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import Manifest, load_manifest
from ib_platform.streamer.records import Record, RecordKind
from ib_platform.streamer.segments import (
    SegmentFile,
    first_record_offset,
    list_segments,
    read_chunk,
    size_of,
)
from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.sql import query
from ib_platform.warehouse.verify.evidence import SpooledRun
from ib_platform.warehouse.verify.findings import Finding, Kind, SpoolProof, Standing

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LOADED = "loaded"
"""Folder of segments that are loaded completely and kept for a while."""
RECORDS_AT_ONCE = 20_000
_EXAMPLES = 5

Rows = Mapping[int, Sequence[tuple[int, int, int, str]]]
"""Stored rows by seq: received (ns), monotonic (ns), connection, SHA-256 of the payload in hex."""
RowsOf = Callable[[str, int, int], Rows]
"""Stored rows of a run between two numbers, both included."""


@dataclass
class _Run:
    """What was found of one run so far."""

    compared: int = 0
    different: list[int] = field(default_factory=list)
    not_loaded: list[Span] = field(default_factory=list)
    acknowledged: list[Span] = field(default_factory=list)

    def add(self, other: _Run) -> None:
        self.compared += other.compared
        self.different += other.different
        for mine, others in (
            (self.not_loaded, other.not_loaded),
            (self.acknowledged, other.acknowledged),
        ):
            for span in others:
                _extend(mine, span)

    def spooled(self) -> SpooledRun:
        different = sorted(set(self.different))
        return SpooledRun(
            tuple(self.not_loaded),
            tuple(self.acknowledged),
            len(different),
            tuple(different[:_EXAMPLES]),
        )


def compare_spool(
    folder: Path, paper_user: str, span: Span, rows_of: RowsOf
) -> tuple[SpoolProof, dict[str, SpooledRun]]:
    """Compare every frame of the span (ns since 1970) that the spool holds complete.

    What cannot be read is a finding of standing ``unknown``. Raises what ``rows_of`` raises.
    """
    findings: list[Finding] = []

    def note(text: str) -> None:
        finding = Finding(paper_user, None, Kind.SPOOL, Standing.UNKNOWN, None, text)
        findings.append(finding)

    runs: dict[str, _Run] = {}
    done: set[tuple[str, int]] = set()
    if folder.is_dir():
        manifest = _manifest(folder, paper_user, note)
        for segment, is_loaded in _segments(folder):
            key = (segment.run_id, segment.number)
            if key in done:
                # It moved to the kept ones after it was read.
                continue
            try:
                found = _compare_segment(
                    segment, paper_user, span, rows_of, None if is_loaded else manifest, note
                )
            except SpoolError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    note(str(error))
                continue
            done.add(key)
            runs.setdefault(segment.run_id, _Run()).add(found)
    else:
        note(f"{folder}: no spool on this machine, so payloads are compared with nothing")
    spooled = {run_id: run.spooled() for run_id, run in runs.items()}
    proof = SpoolProof(
        paper_user,
        str(folder),
        len(done),
        sum(run.compared for run in runs.values()),
        sum(run.different for run in spooled.values()),
        sum(end - begin for run in runs.values() for begin, end in run.not_loaded),
        tuple(findings),
    )
    return proof, spooled


def _manifest(folder: Path, paper_user: str, note: Callable[[str], None]) -> Manifest:
    try:
        return load_manifest(folder, paper_user)
    except SpoolError as error:
        note(f"what is loaded already is unknown: {error}")
        return Manifest(paper_user)


def _segments(folder: Path) -> Iterator[tuple[SegmentFile, bool]]:
    """Live segments, then kept ones. In this order, since a segment moves from here to there."""
    for segment in list_segments(folder):
        yield segment, False
    if (folder / LOADED).is_dir():
        for segment in list_segments(folder / LOADED):
            yield segment, True


def _compare_segment(
    segment: SegmentFile,
    paper_user: str,
    span: Span,
    rows_of: RowsOf,
    manifest: Manifest | None,
    note: Callable[[str], None],
) -> _Run:
    """``manifest`` None: everything in the segment is acknowledged."""
    run = _Run()
    path = segment.path
    offset, end = first_record_offset(path, paper_user) or 0, size_of(path)
    while 0 < offset < end:
        chunk = read_chunk(path, offset, end, paper_user, RECORDS_AT_ONCE)
        if chunk.skipped and chunk.records:
            note(f"{path}: {chunk.skipped} bytes at {offset} are no records")
        frames = [
            record
            for record in chunk.records
            if record.kind is RecordKind.FRAME and span.begin <= record.received_ns < span.end
        ]
        if frames:
            numbers = [record.number for record in frames]
            rows = rows_of(segment.run_id, min(numbers), max(numbers))
            for record in frames:
                done = manifest is None or is_acknowledged(manifest, segment, offset + record.end)
                _compare(record, rows.get(record.number, ()), done, run)
        offset = chunk.end
    return run


def is_acknowledged(manifest: Manifest, segment: SegmentFile, end: int) -> bool:
    """Whether ClickHouse has acknowledged the record that ends at this offset of the segment."""
    if segment.run_id in manifest.finished:
        return True
    at = manifest.position
    if at is None or at.run_id != segment.run_id:
        return False
    return (segment.number, end) <= (at.segment, at.offset)


def _compare(
    record: Record, rows: Iterable[tuple[int, int, int, str]], acknowledged: bool, run: _Run
) -> None:
    number = record.number
    stored = list(rows)
    if not stored:
        ranges = run.acknowledged if acknowledged else run.not_loaded
        _extend(ranges, Span(number, number + 1))
        return
    digest = hashlib.sha256(record.payload).hexdigest()
    received = (record.received_ns, record.monotonic_ns, record.connection, digest)
    run.compared += 1
    if any(row != received for row in stored):
        run.different.append(number)


def _extend(ranges: list[Span], span: Span) -> None:
    """Append, or lengthen the last range where the new one goes on from it."""
    if ranges and ranges[-1].end == span.begin:
        ranges[-1] = Span(ranges[-1].begin, span.end)
    else:
        ranges.append(span)


def stored_rows(client: Client, paper_user: str) -> RowsOf:
    """Rows of a paper user's runs, straight from the table: repeated ones are all compared."""

    def rows_of(run_id: str, begin: int, end: int) -> Rows:
        bound: dict[str, Any] = {"paper_user": paper_user, "run_id": run_id}
        answer = client.query(query("verify_rows"), {**bound, "begin_seq": begin, "end_seq": end})
        rows: dict[int, list[tuple[int, int, int, str]]] = {}
        for seq, *row in answer.result_rows:
            rows.setdefault(seq, []).append((row[0], row[1], row[2], row[3]))
        return rows

    return rows_of
