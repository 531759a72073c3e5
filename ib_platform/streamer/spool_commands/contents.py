"""What is in a segment file: complete records, and stretches of bytes that are none.

Reads only what is there, also beside a running streamer: its last record may still be incomplete,
which is then the tail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ib_platform.streamer.records import Record, RecordKind
from ib_platform.streamer.segments import first_record_offset, read_chunk, size_of


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of ``[begin, end)``, the first of them ``skipped`` bytes behind ``begin``: what lies
    before it is no record. No records: all of it is none."""

    begin: int
    skipped: int
    records: list[Record]
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """``length`` bytes at ``offset`` that are no record, with a record behind them.

    ``after_seq``, ``before_seq``: the frames around them in this file, None where there is none.
    """

    offset: int
    length: int
    after_seq: int | None
    before_seq: int | None


@dataclass(slots=True)
class Contents:
    """``[begin, size)`` of a file was read. ``end``: behind the last complete record, ``begin``
    without any. Instants in ns since 1970, of the first and the last record. ``jumps``: a frame's
    number and the one that was expected, where no damage explains it."""

    begin: int
    end: int
    size: int
    records: int = 0
    frames: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    damage: list[Damage] = field(default_factory=list)
    jumps: list[tuple[int, int]] = field(default_factory=list)

    @property
    def tail(self) -> int:
        """Bytes behind the last complete record."""
        return self.size - self.end

    def take(self, stretch: Stretch) -> None:
        """Count the next stretch. One without records is a tail, unless another one follows."""
        if not stretch.records:
            return
        seqs = [r.number for r in stretch.records if r.kind is RecordKind.FRAME]
        explained = stretch.skipped > 0
        if explained:
            before = seqs[0] if seqs else None
            self.damage.append(Damage(stretch.begin, stretch.skipped, self.last_seq, before))
        for seq in seqs:
            if self.last_seq is not None and seq != self.last_seq + 1 and not explained:
                self.jumps.append((seq, self.last_seq + 1))
            self.last_seq, explained = seq, False
        self.first_seq = self.first_seq if self.frames or not seqs else seqs[0]
        self.frames += len(seqs)
        self.records += len(stretch.records)
        self.end = stretch.end
        self.last_ns = stretch.records[-1].received_ns
        if self.first_ns is None:
            self.first_ns = stretch.records[0].received_ns


def stretches(path: Path, paper_user: str, begin: int, end: int) -> Iterator[Stretch]:
    """All of ``[begin, end)`` in order; ``begin`` 0 means the first record.

    Raises:
        SpoolError: unreadable, foreign, newer, or a segment of another paper user.
    """
    # Asked for also where reading begins further on: the header says whose file it is.
    first = first_record_offset(path, paper_user) or 0
    begin = begin or first
    while begin < end:
        chunk = read_chunk(path, begin, end, paper_user)
        yield Stretch(begin, chunk.skipped, chunk.records, chunk.end)
        begin = chunk.end


def read_contents(path: Path, paper_user: str, begin: int = 0, end: int | None = None) -> Contents:
    """Read and check every record. ``end`` None: the file's size now. Raises SpoolError."""
    size = size_of(path) if end is None else end
    begin = begin or min(first_record_offset(path, paper_user) or 0, size)
    contents = Contents(begin, begin, size)
    for stretch in stretches(path, paper_user, begin, size):
        contents.take(stretch)
    return contents
