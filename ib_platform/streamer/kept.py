"""Loaded segments are kept for a while: a database that loses its last seconds gets them again.

ClickHouse acknowledges an insert before it is safe from a power cut. What it acknowledged lies in
``loaded/`` below the spool folder, under the same names, each beside the decoder's state at its
beginning, without which it could not be decoded alone. ``ib-platform spool resend`` sends what is
missing. A kept segment is only a copy: it goes when its time is over, or its room is needed. Its
time is counted by the monotonic clock from when this process first saw it: a wall clock that is set
drops nothing early, and who starts again keeps it longer.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.decode import RunDecoder
from ib_platform.streamer.durable_json import replace_json
from ib_platform.streamer.segments import SegmentFile, list_segments, sync_folder

logger = logging.getLogger(__name__)
KEPT_FOLDER = "loaded"
_STATE = ".state.json"


@dataclass(frozen=True, slots=True)
class KeptSegment:
    """A loaded segment. ``loaded_at``: Unix seconds, by the wall clock of then; ``bytes``: of the
    file."""

    segment: SegmentFile
    loaded_at: float
    bytes: int


class KeptSegments:
    """The loaded segments of one spool folder. Only the owner of the spool changes them.

    ``keep_for``: seconds that a segment stays after this object first saw it; 0 keeps nothing.
    """

    def __init__(self, spool_folder: Path, keep_for: float) -> None:
        self.folder = spool_folder / KEPT_FOLDER
        self.keep_for = keep_for
        self._seen: dict[str, float] = {}

    def keep(self, segment: SegmentFile, now: float) -> None:
        """Take a segment that is acknowledged whole out of the spool. Raises OSError."""
        if self.keep_for <= 0:
            segment.path.unlink(missing_ok=True)
            return
        if not segment.path.exists():
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        # Before it moves: a crash in between may only make its time longer.
        os.utime(segment.path, (now, now))
        os.replace(segment.path, self.folder / segment.path.name)
        sync_folder(self.folder)

    def note_state(self, segment: SegmentFile, decoder: RunDecoder) -> None:
        """Remember the decoder's state at the beginning of a segment that is loaded next. What
        cannot be written costs only the chance to send that segment again by itself."""
        if self.keep_for <= 0:
            return
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            replace_json(self._state_file(segment), decoder)
        except OSError as error:
            logger.warning("%s: kept without the decoder's state (%s)", segment.path.name, error)

    def state_of(self, segment: SegmentFile, paper_user: str) -> RunDecoder:
        """The decoder's state at the beginning of a kept segment.

        Raises:
            SpoolError: it was not kept, or cannot be read.
        """
        if segment.number == 0:
            return RunDecoder(paper_user, segment.run_id)
        file = self._state_file(segment)
        try:
            return msgspec.json.decode(file.read_bytes(), type=RunDecoder)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SpoolError(
                f"{file}: the decoder's state at the beginning of {segment.path.name} cannot be "
                f"read ({error}): its ladder frames cannot be understood without it."
            ) from error

    def list(self) -> list[KeptSegment]:
        """What is kept, the longest loaded first. Raises SpoolError."""
        if not self.folder.is_dir():
            return []
        kept = []
        for segment in list_segments(self.folder):
            try:
                stat = segment.path.stat()
            except FileNotFoundError:
                continue
            kept.append(KeptSegment(segment, stat.st_mtime, stat.st_size))
        return sorted(kept, key=lambda one: (one.loaded_at, one.segment))

    def size(self) -> int:
        """Bytes of all kept segments. Raises SpoolError."""
        return sum(one.bytes for one in self.list())

    def expire(self, now: float) -> None:
        """Drop what was first seen here ``keep_for`` ago. ``now``: seconds of a monotonic clock.

        Raises OSError, SpoolError.
        """
        kept = {one.segment.path.name: one for one in self.list()}
        self._seen = {name: self._seen.get(name, now) for name in kept}
        for name, one in kept.items():
            if now - self._seen[name] >= self.keep_for:
                self._drop(one)
        for state in self.folder.glob(f"*{_STATE}") if self.folder.is_dir() else ():
            name = f"{state.name.removesuffix(_STATE)}.spool"
            # Still to be loaded, or kept; else its segment was removed by hand.
            if not ((self.folder.parent / name).exists() or (self.folder / name).exists()):
                state.unlink(missing_ok=True)

    def make_room(self, wanted: int) -> int:
        """Drop the longest loaded until ``wanted`` bytes are free of them; the bytes that are.

        Raises OSError, SpoolError.
        """
        freed = 0
        for one in self.list():
            if freed >= wanted:
                break
            logger.warning("%s: dropped before its time: room is needed", one.segment.path.name)
            self._drop(one)
            freed += one.bytes
        return freed

    def _drop(self, kept: KeptSegment) -> None:
        kept.segment.path.unlink(missing_ok=True)
        self._state_file(kept.segment).unlink(missing_ok=True)

    def _state_file(self, segment: SegmentFile) -> Path:
        return self.folder / f"{segment.path.stem}{_STATE}"
