"""``ib-platform spool ls``: every segment and what it is, as a table or as JSON."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ib_platform.config import Limits
from ib_platform.streamer.batches import Manifest
from ib_platform.streamer.quarantine import remedy
from ib_platform.streamer.spool_commands.progress import Progress, progress_of
from ib_platform.streamer.spool_commands.survey import Place, Survey, Surveyed
from ib_platform.streamer.spool_commands.words import brief, iso_ns, iso_unix, size_in_words

_WIDTH = 1000
_LONGEST_REASON = 200
_LEFT = ("segment", "first record", "last record", "what it is")
_RIGHT = ("bytes", "records", "frames", "torn")


def print_listing(found: Survey, limits: Limits) -> None:
    """One spool for people."""
    for line in _heading(found, limits):
        click.echo(line)
    if not found.segments:
        click.echo("  no segments")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  segment", no_wrap=True)
    for name in (*_RIGHT, *_LEFT[1:]):
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    for one in found.segments:
        table.add_row(*_cells(one, found, limits))
    # Wide enough for every cell: a terminal wraps it, a file or a pipe keeps the lines whole.
    console = Console(width=_WIDTH)
    with console.capture() as capture:
        console.print(table, highlight=False, markup=False)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
    if found.at(Place.QUARANTINE):
        click.echo(f"  refused by ClickHouse, to do: {remedy(found.paper_user)}")


def _heading(found: Survey, limits: Limits) -> list[str]:
    owner = f"owned by process {found.owner.pid}" if found.owner else "nobody owns it"
    kept = sum(one.size for one in found.at(Place.KEPT))
    share = found.used / limits.spool_bytes
    return [
        f"{found.paper_user}: {found.folder}, {owner}",
        f"  used {size_in_words(found.used)} of {size_in_words(limits.spool_bytes)} "
        f"({share:.1%}), and {size_in_words(kept)} of loaded segments are kept",
        f"  {found.manifest_error or position_in_words(found.manifest)}",
    ]


def position_in_words(manifest: Manifest | None) -> str:
    """How far the spool is loaded."""
    if manifest is None or manifest.position is None:
        return "loaded up to: nothing of what is there"
    position, flight = manifest.position, manifest.batch
    words = f"loaded up to: {position.run_id}.{position.segment:06d}, byte {position.offset}"
    return words + (f"; a batch up to byte {flight.end.offset} is on its way" if flight else "")


def _cells(one: Surveyed, found: Survey, limits: Limits) -> list[str]:
    contents = one.contents
    torn = _torn_bytes(one, found)
    return [
        f"  {one.name}",
        f"{one.size:,}",
        "-" if contents is None else f"{contents.records:,}",
        "-" if contents is None else f"{contents.frames:,}",
        f"{torn:,}" if torn else "-",
        brief(contents.first_ns if contents else None),
        brief(contents.last_ns if contents else None),
        _in_words(one, found, limits),
    ]


def _in_words(one: Surveyed, found: Survey, limits: Limits) -> str:
    if one.error is not None:
        return f"cannot be read: {one.error}"
    progress, loaded = progress_of(one, found.manifest)
    if progress is Progress.KEPT and one.loaded_at is not None:
        return f"kept until {iso_unix(one.loaded_at + limits.keep_loaded)}"
    if progress is Progress.QUARANTINED and one.batch is not None:
        refusal = one.batch.refusals[0]
        code = "" if refusal.code is None else f", code {refusal.code}"
        return f"quarantined ({refusal.part.table}{code}): {refusal.error[:_LONGEST_REASON]}"
    if progress is Progress.WRITTEN and loaded:
        return f"being written, loaded up to {loaded:,}"
    if progress is Progress.PARTLY:
        return f"partly loaded, up to {loaded:,}"
    return progress.value


def _torn_bytes(one: Surveyed, found: Survey) -> int:
    if one.place is not Place.SPOOL:
        return 0
    still_there = one.contents.tail if one.contents and not one.live else 0
    return found.torn.get(one.segment, 0) + still_there


def listing(found: Survey, limits: Limits) -> dict[str, Any]:
    """One spool for programs."""
    manifest = found.manifest
    return {
        "paper_user": found.paper_user,
        "folder": str(found.folder),
        "owner_pid": found.owner and found.owner.pid,
        "budget": {"used": found.used, "limit": limits.spool_bytes},
        "manifest": {
            "position": manifest and manifest.position,
            "batch": manifest and manifest.batch,
            "finished": list(manifest.finished) if manifest else [],
            "error": found.manifest_error,
        },
        "segments": [_segment(one, found, limits) for one in found.segments],
        "torn": [
            {"run_id": segment.run_id, "segment": segment.number, "bytes": size}
            for segment, size in found.torn.items()
        ],
    }


def _segment(one: Surveyed, found: Survey, limits: Limits) -> dict[str, Any]:
    contents, batch = one.contents, one.batch
    progress, loaded = progress_of(one, found.manifest)
    kept_until = None if one.loaded_at is None else iso_unix(one.loaded_at + limits.keep_loaded)
    return {
        "name": one.name,
        "run_id": one.segment.run_id,
        "number": one.segment.number,
        "file": str(one.path),
        "what": progress.value,
        "loaded_up_to": loaded,
        "bytes": one.size,
        "records": contents and contents.records,
        "frames": contents and contents.frames,
        "first_at": _iso(contents.first_ns if contents else None),
        "last_at": _iso(contents.last_ns if contents else None),
        "first_seq": contents and contents.first_seq,
        "last_seq": contents and contents.last_seq,
        "torn_bytes": _torn_bytes(one, found),
        "damaged_bytes": contents and sum(damage.length for damage in contents.damage),
        "kept_until": kept_until,
        "refusals": batch and batch.refusals,
        "error": one.error,
    }


def _iso(instant_ns: int | None) -> str | None:
    return None if instant_ns is None else iso_ns(instant_ns)
