"""``ib-platform spool repair``: what a crash left is cleared away; no record is ever deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import MANIFEST_NAME, Manifest, save_manifest
from ib_platform.streamer.kept import KeptSegments
from ib_platform.streamer.segment_writer import OWNER_NAME, give_folder_back, owned, take_folder
from ib_platform.streamer.segments import Position, SegmentFile, cut_tail, sync_file, sync_folder
from ib_platform.streamer.spool_commands.findings import Finding, findings
from ib_platform.streamer.spool_commands.leftovers import removable
from ib_platform.streamer.spool_commands.owner import owner_of
from ib_platform.streamer.spool_commands.survey import Place, Survey, survey

_AGAIN = (
    "every segment that is there is loaded again from its beginning; rows that are stored already "
    "are sent once more, and the tables' replacing keys merge them"
)


@dataclass(slots=True)
class Repair:
    """What was done, or would be, and what is still wrong afterwards."""

    done: list[str] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)


def repair(folder: Path, paper_user: str, now: datetime, dry_run: bool = False) -> Repair:
    """Cut torn tails into ``.torn``, remove what was half made, move a damaged manifest aside.

    ``now``: aware. ``dry_run``: only say it; what would be left is not known then.

    Raises:
        SpoolError: a process owns the spool (named by its pid), or the disk refuses.
    """
    if not folder.is_dir():
        return Repair()
    owner = owner_of(folder)
    if owner is not None:
        raise owned(folder, str(owner.pid))
    if dry_run:
        return Repair([step.words for step in _steps(survey(folder, paper_user), now)])
    # Taking the folder replaces a dead owner's note, and giving it back removes it.
    note = folder / OWNER_NAME
    done = [f"{note}: removed"] if note.exists() else []
    lock = take_folder(folder)
    try:
        for step in _steps(_without_owner(folder, paper_user), now):
            step.act()
            done.append(step.words)
        left = list(findings(_without_owner(folder, paper_user)))
    finally:
        give_folder_back(folder, lock)
    return Repair(done, [finding for finding in left if finding.file != note])


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to do, in words as if it were done. ``act`` raises SpoolError."""

    words: str
    act: Callable[[], None]


def _without_owner(folder: Path, paper_user: str) -> Survey:
    # We own it, and write no segment.
    return replace(survey(folder, paper_user), owner=None)


def _steps(found: Survey, now: datetime) -> list[_Step]:
    steps = []
    for one in found.at(Place.SPOOL):
        if one.last and one.contents is not None and one.contents.tail:
            words = f"{one.path}: {one.contents.tail} bytes behind the last record moved to .torn"
            steps.append(_Step(words, partial(_cut, one.segment, one.contents.end)))
    for path in removable(found.folder):
        steps.append(_Step(f"{path}: removed", partial(_remove, path)))
    if found.manifest_damaged:
        steps.append(_move_manifest(found, now))
    return steps


def _cut(segment: SegmentFile, keep: int) -> None:
    # What a killed run left may be in the kernel only: first the records, then the cut.
    sync_file(segment.path)
    cut_tail(segment, keep)


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise SpoolError(f"{path}: cannot be removed ({error})") from error


def _move_manifest(found: Survey, now: datetime) -> _Step:
    file = found.folder / MANIFEST_NAME
    aside = file.with_name(f"{MANIFEST_NAME}.damaged-{now:%Y%m%dT%H%M%SZ}")
    manifest, what_follows = _rebuilt(found)
    words = "\n".join((f"{file}: moved aside to {aside.name}: {_AGAIN}", *what_follows))
    return _Step(words, partial(_replace_manifest, file, aside, manifest))


def _replace_manifest(file: Path, aside: Path, manifest: Manifest | None) -> None:
    try:
        os.replace(file, aside)
        sync_folder(file.parent)
    except OSError as error:
        raise SpoolError(f"{file}: cannot be moved ({error})") from error
    if manifest is not None:
        save_manifest(file.parent, manifest)


def _rebuilt(found: Survey) -> tuple[Manifest | None, list[str]]:
    """A manifest for the run that was loaded in part, where the decoder's state at its first
    segment is known: without it ladders would be read as if they began there."""
    first: dict[str, SegmentFile] = {}
    for one in found.at(Place.SPOOL):
        first.setdefault(one.segment.run_id, one.segment)
    begun = [segment for segment in first.values() if segment.number > 0]
    for segment in begun:
        with suppress(SpoolError):
            decoder = KeptSegments(found.folder, 0).state_of(segment, found.paper_user)
            position = Position(segment.run_id, segment.number, 0)
            if decoder.run_id == segment.run_id:
                words = f"{segment.path.name}: its ladders are read on from where they were"
                return Manifest(found.paper_user, position=position, decoder=decoder), [words]
    return None, [
        f"{segment.path.name}: what came before it in its run is not known any more, so epochs are "
        "counted anew and a ladder is understood from its next full frame on; compact its date "
        "again afterwards"
        for segment in begun
    ]
