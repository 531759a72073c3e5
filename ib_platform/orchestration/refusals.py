"""Batches in quarantines as the result of an asset check: what waits, why, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from ib_platform.orchestration.previews import markdown_table

if TYPE_CHECKING:
    from ib_platform.warehouse.refused import WaitingBatch

_MOST = 50
_COLUMNS = (
    "paper user",
    "run",
    "from seq",
    "to seq",
    "frames",
    "refused (code)",
    "reason",
    "refused at, UTC",
    "folder",
)


def refusals_result(waiting: Sequence[WaitingBatch], day: date) -> dg.AssetCheckResult:
    """Passes when no batch that touches ``day`` waits. ``waiting``: those of all dates; the others
    are only named, since a later date's result hides the earlier one's in the UI."""
    ours = [batch for batch in waiting if day in batch.trade_dates]
    others = [batch for batch in waiting if day not in batch.trade_dates]
    metadata: dict[str, dg.MetadataValue] = {
        "trade_date": dg.MetadataValue.text(str(day)),
        "batches": dg.MetadataValue.int(len(ours)),
        "frames_quarantined": dg.MetadataValue.int(sum(batch.frames or 0 for batch in ours)),
    }
    if ours:
        rows = [_row(batch) for batch in ours[:_MOST]]
        metadata["refused"] = dg.MetadataValue.md(markdown_table(_COLUMNS, rows))
        metadata["what_to_do"] = dg.MetadataValue.md(_remedy(ours))
    if others:
        metadata["other_dates"] = dg.MetadataValue.text(_dates(others))
    return dg.AssetCheckResult(
        passed=not ours,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(_in_words, ours[:_MOST])) or None,
        metadata=metadata,
    )


def _row(batch: WaitingBatch) -> tuple[object, ...]:
    return (
        batch.paper_user,
        batch.run_id,
        batch.first_seq,
        batch.last_seq,
        batch.frames,
        _tables(batch),
        batch.error,
        batch.refused_at,
        batch.folder,
    )


def _in_words(batch: WaitingBatch) -> str:
    what = "events only"
    if batch.frames and batch.first_seq is not None and batch.last_seq is not None:
        what = f"{batch.frames} frames, seq {batch.first_seq} to {batch.last_seq}"
    return f"{batch.paper_user}: {what} of run {batch.run_id} refused by {_tables(batch)}"


def _tables(batch: WaitingBatch) -> str:
    return ", ".join(
        f"{table} ({'does not fit the types' if code is None else code})"
        for table, code in zip(batch.tables, batch.codes, strict=True)
    )


def _remedy(batches: Sequence[WaitingBatch]) -> str:
    users = dict.fromkeys(batch.paper_user for batch in batches)
    commands = "\n".join(f"ib-platform spool resend --paper-user {user}" for user in users)
    return (
        "Cure in ClickHouse what the reason names: a constraint, a column's type. Then on the "
        f"pod's machine, beside the streamer:\n\n```\n{commands}\n```\n\n"
        "The date is due again then: `finalize_date` builds it and looks anew within the hour."
    )


def _dates(batches: Sequence[WaitingBatch]) -> str:
    counts = Counter(day for batch in batches for day in batch.trade_dates)
    return ", ".join(f"{day}: {count}" for day, count in sorted(counts.items()))
