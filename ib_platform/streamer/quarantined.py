"""What waits in a spool's quarantine: read by commands, by ``/status`` and by the disk's budget."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.quarantine import (
    BATCH_NAME,
    QUARANTINE_FOLDER,
    RECORDS_NAME,
    RefusedBatch,
)
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import Position, read_records, size_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuarantinedBatch:
    """A batch in the quarantine."""

    folder: Path
    batch: RefusedBatch

    def records(self) -> list[Record]:
        """The batch's records. Raises SpoolError."""
        path = self.folder / RECORDS_NAME
        pieces = read_records(path, 0, size_of(path), self.batch.paper_user)
        return list(chain.from_iterable(pieces))

    def remove(self) -> None:
        """Take it out of the quarantine, after it was stored. Raises SpoolError."""
        try:
            shutil.rmtree(self.folder)
        except OSError as error:
            raise SpoolError(f"{self.folder}: cannot be removed ({error})") from error


def quarantined(spool_folder: Path) -> list[QuarantinedBatch]:
    """All batches in the quarantine, runs by name, in their order within a run.

    Raises:
        SpoolError: one of them cannot be read.
    """
    found = [QuarantinedBatch(folder, _read(folder)) for folder in _folders(spool_folder)]
    return sorted(found, key=lambda one: _place(one.batch.begin))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Batches that wait for a person: how many, and of the one that waits for the longest since
    when (UTC) and why; None for none, or where it cannot be read."""

    batches: int = 0
    since: datetime | None = None
    error: str | None = None


def waiting(spool_folder: Path) -> Waiting:
    """What ``/status`` shows of the quarantine: cheap, however often it is asked."""
    folders = _folders(spool_folder)
    known = [found for folder in folders if (found := _since(folder)) is not None]
    since, error = min(known, default=(None, None))
    return Waiting(len(folders), since, error)


def quarantined_count(spool_folder: Path) -> int:
    """How many batches wait for a person."""
    return len(_folders(spool_folder))


def quarantined_bytes(spool_folder: Path) -> int:
    """Bytes of all quarantined batches."""
    return sum(
        size_of(folder / name)
        for folder in _folders(spool_folder)
        for name in (RECORDS_NAME, BATCH_NAME)
    )


@lru_cache(maxsize=1024)
def _since(folder: Path) -> tuple[datetime, str] | None:
    """What is in a folder of this name never changes."""
    try:
        batch = _read(folder)
    except SpoolError as error:
        # `spool check` and `spool resend` say so, too.
        logger.warning("%s", error)
        return None
    return batch.refused_at, batch.refusals[0].in_words


def _read(folder: Path) -> RefusedBatch:
    file = folder / BATCH_NAME
    try:
        return msgspec.json.decode(file.read_bytes(), type=RefusedBatch)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpoolError(f"{file}: cannot be read ({error})") from error


def _place(position: Position) -> tuple[str, int, int]:
    return position.run_id, position.segment, position.offset


def _folders(spool_folder: Path) -> list[Path]:
    quarantine = spool_folder / QUARANTINE_FOLDER
    if not quarantine.is_dir():
        return []
    return sorted(
        folder
        for folder in quarantine.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    )
