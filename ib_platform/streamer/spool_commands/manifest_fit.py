"""Does the manifest fit to the segments that are there?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import MANIFEST_NAME, Manifest
from ib_platform.streamer.segments import Position
from ib_platform.streamer.spool_commands.contents import read_contents
from ib_platform.streamer.spool_commands.survey import Place, Survey, Surveyed


def misfits(found: Survey) -> Iterator[tuple[Path, str]]:
    """The manifest's file and what does not fit, for each thing."""
    file = found.folder / MANIFEST_NAME
    manifest = found.manifest
    if manifest is None:
        yield file, (found.manifest_error or "").removeprefix(f"{file}: ").removesuffix(".")
        return
    for what in _misfits(manifest, found):
        yield file, what


def _misfits(manifest: Manifest, found: Survey) -> Iterator[str]:
    position, batch = manifest.position, manifest.batch
    if position is None:
        if batch is not None:
            yield "it has a batch on its way, but no position"
        return
    if manifest.decoder is None or manifest.decoder.run_id != position.run_id:
        yield f"it has no state of the decoder for its position in run {position.run_id}"
    run = [one for one in found.at(Place.SPOOL) if one.segment.run_id == position.run_id]
    here = [one for one in run if one.segment.number == position.segment]
    if not run:
        yield f"its position is in run {position.run_id}, of which no segment is there"
    for one in here:
        yield from _misplaced("its position", position, one, found.paper_user)
        if batch is not None:
            if (batch.end.run_id, batch.end.segment) != (position.run_id, position.segment):
                yield "its batch on the way ends in another segment than its position"
            elif batch.end.offset <= position.offset:
                yield "its batch on the way ends before its position"
            else:
                yield from _misplaced("its batch on the way", batch.end, one, found.paper_user)


def _misplaced(what: str, at: Position, one: Surveyed, paper_user: str) -> Iterator[str]:
    where = f"{what} is byte {at.offset} of {one.path.name}"
    if one.contents is None or at.offset == 0:
        return
    if at.offset > one.contents.size:
        yield f"{where}, which has {one.contents.size} bytes"
    elif at.offset < one.contents.begin or not _is_border(at, one, paper_user):
        yield f"{where}, which is in the middle of a record"


def _is_border(at: Position, one: Surveyed, paper_user: str) -> bool:
    try:
        return read_contents(one.path, paper_user, end=at.offset).tail == 0
    except SpoolError:
        return one.path.exists() is False
