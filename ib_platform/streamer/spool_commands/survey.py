"""One look at a whole spool folder: segments, kept ones, quarantine, manifest, owner. Read-only.

A running streamer frees segments meanwhile: the places are read in the order in which a segment
wanders, and one that has gone since it was listed is not named at its old place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import DamagedManifestError, Manifest, load_manifest
from ib_platform.streamer.kept import KEPT_FOLDER
from ib_platform.streamer.quarantine import (
    BATCH_NAME,
    QUARANTINE_FOLDER,
    RECORDS_NAME,
    RefusedBatch,
)
from ib_platform.streamer.quarantined import quarantined_bytes
from ib_platform.streamer.segments import SegmentFile, list_segments, list_torn, size_of
from ib_platform.streamer.spool_commands.contents import Contents, read_contents
from ib_platform.streamer.spool_commands.owner import Owner, owner_of
from ib_platform.streamer.torn_tails import last_segments


class Place(StrEnum):
    """Where a segment lies."""

    SPOOL = "spool"
    KEPT = "kept"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A segment file. ``contents`` None: it cannot be read, ``error`` says why.

    ``live``: the owner writes it. ``last``: of its run, in the spool. ``loaded_at``: Unix seconds,
    of a kept one. ``batch``: why it is in the quarantine.
    """

    place: Place
    segment: SegmentFile
    size: int
    contents: Contents | None = None
    error: str | None = None
    live: bool = False
    last: bool = False
    loaded_at: float | None = None
    batch: RefusedBatch | None = None

    @property
    def path(self) -> Path:
        return self.segment.path

    @property
    def name(self) -> str:
        """What ``ib-platform spool cat`` calls it."""
        in_quarantine = self.place is Place.QUARANTINE
        return self.path.parent.name if in_quarantine else self.path.stem


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in one paper user's spool folder.

    ``manifest`` None: ``manifest_error`` says why, ``manifest_damaged`` whether a repair may move
    it aside. ``torn``: segments that a tail was cut off from. ``used``: bytes of the budget.
    """

    paper_user: str
    folder: Path
    owner: Owner | None = None
    manifest: Manifest | None = None
    manifest_error: str | None = None
    manifest_damaged: bool = False
    segments: list[Surveyed] = field(default_factory=list)
    torn: dict[SegmentFile, int] = field(default_factory=dict)
    used: int = 0

    def at(self, place: Place) -> list[Surveyed]:
        """The segments that lie there, in order."""
        return [segment for segment in self.segments if segment.place is place]


def survey(folder: Path, paper_user: str) -> Survey:
    """Read all of it, every record too. A folder that is missing is an empty spool.

    Raises:
        SpoolError: the folder cannot be listed. What is wrong with a file is part of the answer.
    """
    if not folder.is_dir():
        return Survey(paper_user, folder, manifest=Manifest(paper_user))
    owner = owner_of(folder)
    manifest, error, damaged = _manifest(folder, paper_user)
    waiting = list(_in_spool(folder, paper_user, owner))
    kept = list(_kept(folder, paper_user))
    moved = {one.path.name for one in kept}
    segments = [
        *(one for one in waiting if one.path.name not in moved),
        *kept,
        *_in_quarantine(folder, paper_user),
    ]
    torn = {segment: size_of(segment.torn_path) for segment in list_torn(folder)}
    used = sum(one.size for one in segments if one.place is Place.SPOOL)
    used += sum(torn.values()) + quarantined_bytes(folder)
    return Survey(paper_user, folder, owner, manifest, error, damaged, segments, torn, used)


def _manifest(folder: Path, paper_user: str) -> tuple[Manifest | None, str | None, bool]:
    try:
        return load_manifest(folder, paper_user), None, False
    except SpoolError as error:
        return None, str(error), isinstance(error, DamagedManifestError)


def _in_spool(folder: Path, paper_user: str, owner: Owner | None) -> Iterator[Surveyed]:
    listed = list_segments(folder)
    last = set(last_segments(listed))
    live = _live(listed, owner)
    for segment in listed:
        contents, error = _read(segment.path, paper_user)
        if contents is None and not segment.path.exists():
            continue
        yield Surveyed(
            Place.SPOOL,
            segment,
            _size(segment.path, contents),
            contents,
            error,
            live=segment == live,
            last=segment in last,
        )


def _live(listed: list[SegmentFile], owner: Owner | None) -> SegmentFile | None:
    """The segment that the owner writes: among those that it has open, the last."""
    if owner is None or not listed:
        return None
    if owner.open_files is None:
        return max(last_segments(listed), key=lambda segment: _modified(segment.path))
    opened = [segment for segment in listed if segment.path.name in owner.open_files]
    return opened[-1] if opened else None


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _kept(folder: Path, paper_user: str) -> Iterator[Surveyed]:
    if not (folder / KEPT_FOLDER).is_dir():
        return
    for segment in list_segments(folder / KEPT_FOLDER):
        contents, error = _read(segment.path, paper_user)
        loaded_at = _modified(segment.path)
        if not segment.path.exists():
            continue
        size = _size(segment.path, contents)
        yield Surveyed(Place.KEPT, segment, size, contents, error, loaded_at=loaded_at)


def _in_quarantine(folder: Path, paper_user: str) -> Iterator[Surveyed]:
    for batch_folder in sorted((folder / QUARANTINE_FOLDER).glob("[!.]*/")):
        path = batch_folder / RECORDS_NAME
        contents, error = _read(path, paper_user)
        batch = None
        try:
            batch = msgspec.json.decode((batch_folder / BATCH_NAME).read_bytes(), type=RefusedBatch)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as failure:
            error = f"{batch_folder / BATCH_NAME}: cannot be read ({failure})"
        if not batch_folder.exists():
            continue
        run_id = batch.run_id if batch else batch_folder.name
        number = batch.begin.segment if batch else 0
        segment = SegmentFile(run_id, number, path)
        size = _size(path, contents)
        yield Surveyed(Place.QUARANTINE, segment, size, contents, error, batch=batch)


def _read(path: Path, paper_user: str) -> tuple[Contents | None, str | None]:
    try:
        return read_contents(path, paper_user), None
    except SpoolError as error:
        return None, str(error)


def _size(path: Path, contents: Contents | None) -> int:
    return contents.size if contents else size_of(path)
