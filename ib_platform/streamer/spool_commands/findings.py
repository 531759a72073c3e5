"""What is wrong in a spool, where, and what to do. Reads the files that a survey found; no more.

Nothing here needs the lock. Beside a running streamer an incomplete last record of the segment
that it writes is no finding, and what is only on its way is looked at twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from ib_platform.streamer.spool_commands.contents import Damage
from ib_platform.streamer.spool_commands.leftovers import leftovers
from ib_platform.streamer.spool_commands.manifest_fit import misfits
from ib_platform.streamer.spool_commands.survey import Place, Survey, Surveyed, survey

REPAIR = "`ib-platform spool repair`, while no streamer runs"
_BY_ITSELF = "nothing, the next start or drain of this paper user clears it away; or "
_DAMAGED = (
    "nothing brings these bytes back; loading steps over them and says so (spool_torn in "
    "stream_events). See after the disk"
)


class Kind(StrEnum):
    """What was found."""

    TORN_TAIL = "torn tail"
    DAMAGE = "damage"
    MISSING_SEGMENT = "missing segment"
    MISSING_FRAMES = "missing frames"
    UNUSABLE_FILE = "unusable file"
    MANIFEST = "manifest"
    LEFTOVER = "leftover"


@dataclass(frozen=True, slots=True)
class Finding:
    """``offset`` and ``length`` in bytes of ``file``, where they mean something."""

    kind: Kind
    file: Path
    what: str
    cure: str
    offset: int | None = None
    length: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}" if self.offset is None else f"{self.file}, byte {self.offset}"
        return f"{self.kind}: {where}: {self.what}\n    to do: {self.cure}"


def check(folder: Path, paper_user: str) -> list[Finding]:
    """Look at a whole spool. Raises SpoolError when its folder cannot be listed."""
    first = survey(folder, paper_user)
    found = list(findings(first))
    if found and first.owner is not None:
        # The owner moves and frees files meanwhile: what is wrong is still wrong at another look.
        again = {_key(finding) for finding in findings(survey(folder, paper_user))}
        found = [finding for finding in found if _key(finding) in again]
    return found


def _key(finding: Finding) -> tuple[Kind, Path, int | None]:
    return finding.kind, finding.file, finding.offset


def findings(found: Survey) -> Iterator[Finding]:
    """All findings of one look, files in their order."""
    for one in found.segments:
        yield from _in_file(one)
    for run_id in sorted({one.segment.run_id for one in found.at(Place.SPOOL)}):
        run = [one for one in found.at(Place.SPOOL) if one.segment.run_id == run_id]
        yield from _between(run, _first_expected(run_id, found))
    for file, what in misfits(found):
        cure = REPAIR if found.manifest_damaged else "as it says"
        if found.manifest is not None:
            cure = (
                "restore the file; or move it away, and all that is there is loaded again from "
                "its beginning"
            )
        yield Finding(Kind.MANIFEST, file, what, cure)
    if found.owner is None:
        for path, what in leftovers(found):
            cure = _BY_ITSELF + REPAIR
            yield Finding(Kind.LEFTOVER, path, what, cure)


def _in_file(one: Surveyed) -> Iterator[Finding]:
    contents = one.contents
    if one.error is not None:
        what = one.error.removeprefix(f"{one.path}: ")
        yield Finding(Kind.UNUSABLE_FILE, one.path, what, "as it says; until then it is not loaded")
    if contents is None:
        return
    for damage in contents.damage:
        what = f"{damage.length} bytes are no record{_lost(damage)}"
        yield Finding(Kind.DAMAGE, one.path, what, _DAMAGED, damage.offset, damage.length)
    for seq, expected in contents.jumps:
        what = f"frame {seq} follows where frame {expected} was expected"
        yield Finding(Kind.MISSING_FRAMES, one.path, what, "report it: this is a defect")
    if contents.tail and one.last and not one.live:
        what = f"{contents.tail} bytes behind the last complete record"
        cure = f"{_BY_ITSELF}{REPAIR}"
        yield Finding(Kind.TORN_TAIL, one.path, what, cure, contents.end, contents.tail)
    elif contents.tail and not one.live:
        what = f"{contents.tail} bytes at the end are no record"
        yield Finding(Kind.DAMAGE, one.path, what, _DAMAGED, contents.end, contents.tail)


def _lost(damage: Damage) -> str:
    after, before = damage.after_seq, damage.before_seq
    if after is None or before is None or before - after <= 1:
        return ""
    first, last = after + 1, before - 1
    return f"; frame {first} is lost" if first == last else f"; frames {first} to {last} are lost"


def _first_expected(run_id: str, found: Survey) -> int:
    """The number of the first segment that must still be there."""
    position = found.manifest.position if found.manifest else None
    if position is not None and position.run_id == run_id:
        return position.segment
    return 0


def _between(run: list[Surveyed], expected: int) -> Iterator[Finding]:
    """Segments of one run that are missing, and frames between two that are there."""
    for one in run:
        number = one.segment.number
        if number > expected:
            missing = number - expected
            what = f"{missing} segment{'s' * (missing > 1)} before it missing, from {expected:06d}"
            cure = "restore the file before anything is loaded; else loading goes on without it"
            yield Finding(Kind.MISSING_SEGMENT, one.path, what, cure)
        expected = max(expected, number + 1)
    for before, after in pairwise(run):
        seq, wanted = _seqs_at_border(before, after)
        if seq is not None and wanted is not None and seq != wanted:
            what = f"begins with frame {seq}, but frame {wanted} was expected"
            yield Finding(Kind.MISSING_FRAMES, after.path, what, "report it: this is a defect")


def _seqs_at_border(before: Surveyed, after: Surveyed) -> tuple[int | None, int | None]:
    """First frame of ``after`` and the one expected there; None where damage explains a hole."""
    adjacent = after.segment.number == before.segment.number + 1
    if not adjacent or before.contents is None or after.contents is None:
        return None, None
    damaged = before.contents.tail or any(d.after_seq is None for d in after.contents.damage)
    last = before.contents.last_seq
    if damaged or last is None:
        return None, None
    return after.contents.first_seq, last + 1
