"""Files that a crash left half made. None of them holds a record that is not elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ib_platform.streamer.batches import MANIFEST_NAME
from ib_platform.streamer.kept import KEPT_FOLDER
from ib_platform.streamer.quarantine import QUARANTINE_FOLDER
from ib_platform.streamer.segment_writer import OWNER_NAME
from ib_platform.streamer.spool_commands.progress import Progress, progress_of
from ib_platform.streamer.spool_commands.survey import Place, Survey


def leftovers(found: Survey) -> Iterator[tuple[Path, str]]:
    """Each with what it is. Only where nobody owns the spool: an owner is still at work on them."""
    for path in removable(found.folder):
        yield path, "half made when a process died"
    note = found.folder / OWNER_NAME
    if note.exists():
        yield note, "names an owner that has died"
    waiting = [one for one in found.at(Place.SPOOL) if not one.last]
    for one in waiting:
        if progress_of(one, found.manifest)[0] is Progress.LOADED:
            yield one.path, "loaded already, and not yet freed when a process died"


def removable(folder: Path) -> list[Path]:
    """What a repair removes: copies that were never finished, and nobody's note of the owner."""
    manifest = (folder / MANIFEST_NAME).with_suffix(".tmp")
    return [
        *([manifest] if manifest.exists() else []),
        *sorted((folder / KEPT_FOLDER).glob("*.state.tmp")),
        *sorted((folder / QUARANTINE_FOLDER).glob(".*.tmp")),
    ]
