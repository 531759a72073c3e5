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
_LONGEST_REASON = 300
_WHAT_TO_DO = (
    "Cure in ClickHouse what the reason names: a constraint, a column's type. Then run the command "
    "on the pod's machine, beside the streamer. The date is due again then: `finalize_date` builds "
    "it and looks anew within the hour."
)
_COLUMNS = (
    "paper user",
    "run",
    "from seq",
    "to seq",
    "frames in it",
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
        "frames_quarantined": dg.MetadataValue.int(sum(batch.missing_frames for batch in ours)),
        "frames_without_decoded_rows": dg.MetadataValue.int(
            sum(batch.undecoded_frames for batch in ours)
        ),
    }
    if ours:
        rows = [_row(batch) for batch in ours[:_MOST]]
        metadata["refused"] = dg.MetadataValue.md(markdown_table(_COLUMNS, rows))
        # Not as Markdown, which the UI hides behind a click.
        metadata["what_to_do"] = dg.MetadataValue.text(_WHAT_TO_DO)
        for user in _by_user(ours):
            command = f"ib-platform spool resend --paper-user {user}"
            metadata[f"command_{user}"] = dg.MetadataValue.text(command)
    if others:
        metadata["other_dates"] = dg.MetadataValue.text(_dates(others))
    return dg.AssetCheckResult(
        passed=not ours,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(_in_words, _by_user(ours).values())) or None,
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


def _by_user(batches: Sequence[WaitingBatch]) -> dict[str, list[WaitingBatch]]:
    users: dict[str, list[WaitingBatch]] = {}
    for batch in batches:
        users.setdefault(batch.paper_user, []).append(batch)
    return users


def _in_words(batches: Sequence[WaitingBatch]) -> str:
    """Of one paper user: what the UI shows before anybody clicks. The last reason is the newest."""
    last = batches[-1]
    frames = _counted(sum(batch.missing_frames for batch in batches), "frame")
    if undecoded := sum(batch.undecoded_frames for batch in batches):
        frames += f" and decoded rows of {undecoded} that are stored"
    return (
        f"{last.paper_user}: ClickHouse refused {_counted(len(batches), 'batch', 'es')} with "
        f"{frames}, set aside on the pod's machine; the last one for {_tables(last)}: "
        f"{last.error[:_LONGEST_REASON]}"
    )


def _counted(count: int, what: str, plural: str = "s") -> str:
    return f"{count} {what}{'' if count == 1 else plural}"


def _tables(batch: WaitingBatch) -> str:
    return ", ".join(
        f"{table} ({'does not fit the types' if code is None else code})"
        for table, code in zip(batch.tables, batch.codes, strict=True)
    )


def _dates(batches: Sequence[WaitingBatch]) -> str:
    counts = Counter(day for batch in batches for day in batch.trade_dates)
    return ", ".join(f"{day}: {count}" for day, count in sorted(counts.items()))
