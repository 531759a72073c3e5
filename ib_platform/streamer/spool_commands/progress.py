"""How far a segment is loaded, as the manifest says. PURE."""

from __future__ import annotations

from enum import StrEnum

from ib_platform.streamer.batches import Manifest
from ib_platform.streamer.spool_commands.survey import Place, Surveyed


class Progress(StrEnum):
    """What a segment is. LOADED: all of it is stored, and the next step of the loader frees it.
    UNKNOWN: it cannot be read, or the manifest cannot."""

    WRITTEN = "being written"
    WAITING = "waiting"
    PARTLY = "partly loaded"
    LOADED = "loaded"
    KEPT = "kept"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"


def progress_of(one: Surveyed, manifest: Manifest | None) -> tuple[Progress, int]:
    """What it is, and the offset up to which it is loaded; 0: nothing of it, or it has gone on."""
    if one.place is Place.KEPT:
        return Progress.KEPT, 0
    if one.place is Place.QUARANTINE:
        return Progress.QUARANTINED, 0
    loaded = 0 if manifest is None else loaded_up_to(one, manifest)
    if one.live:
        return Progress.WRITTEN, loaded
    if one.contents is None or manifest is None:
        return Progress.UNKNOWN, loaded
    if one.segment.run_id in manifest.finished or (loaded and loaded >= one.contents.end):
        return Progress.LOADED, one.size
    return (Progress.PARTLY if loaded > one.contents.begin else Progress.WAITING), loaded


def loaded_up_to(one: Surveyed, manifest: Manifest) -> int:
    """Offset up to which a segment of the spool is loaded."""
    position = manifest.position
    if one.segment.run_id in manifest.finished:
        return one.size
    if position is None or position.run_id != one.segment.run_id:
        return 0
    if one.segment.number == position.segment:
        return position.offset
    return one.size if one.segment.number < position.segment else 0
