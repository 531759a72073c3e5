"""What of a spool is not loaded yet, by run, counted record by record. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ib_platform.streamer.batches import Manifest, load_manifest
from ib_platform.streamer.segments import list_segments, size_of
from ib_platform.streamer.spool_commands.contents import read_contents


@dataclass(slots=True)
class Unloaded:
    """Of one run. ``unexplained``: nobody has said yet how the run ended: loading it to its end
    does."""

    frames: int = 0
    records: int = 0
    bytes: int = 0
    unexplained: bool = False

    @property
    def something(self) -> bool:
        """Whether a loader would have anything to do."""
        return self.records > 0 or self.bytes > 0 or self.unexplained


def unloaded(folder: Path, paper_user: str) -> dict[str, Unloaded]:
    """By run id, runs in the order of their names; runs without anything are left out.

    To be called by the owner of the spool: a loader would move what is being counted.

    Raises:
        SpoolError: a segment or the manifest cannot be read.
    """
    manifest = load_manifest(folder, paper_user)
    runs: dict[str, Unloaded] = {}
    for segment in list_segments(folder):
        if segment.run_id in manifest.finished:
            continue
        position = manifest.position
        begin = 0
        if position is not None and position.run_id == segment.run_id:
            if segment.number < position.segment:
                continue
            begin = position.offset if segment.number == position.segment else 0
        run = runs.setdefault(
            segment.run_id, Unloaded(unexplained=not _said_its_end(segment.run_id, manifest))
        )
        if begin and begin >= size_of(segment.path):
            continue
        contents = read_contents(segment.path, paper_user, begin)
        run.frames += contents.frames
        run.records += contents.records
        run.bytes += contents.size - contents.begin
    return {run_id: run for run_id, run in runs.items() if run.something}


def _said_its_end(run_id: str, manifest: Manifest) -> bool:
    """Whether RUN_STOPPED is among what is loaded. Of a run that is not begun it is not known,
    nor does it matter: its records are still to be loaded."""
    decoder = manifest.decoder
    return decoder is not None and decoder.run_id == run_id and decoder.stopped
