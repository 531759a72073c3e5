"""Batches that ClickHouse refused for their content and that nobody has sent again since.

Read from the events in the warehouse, not from the quarantine folders: these lie on the pods'
disks, which whoever asks need not see. An event may come days after the frames that it tells of,
under another trade date; where the batch belongs is in its detail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from ib_platform.marketdata.calendar import trade_dates_between
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class WaitingBatch:
    """A batch in a quarantine. ``run_id``: whose records it holds. ``begin``, ``end``: of these,
    the latter exclusive, aware, UTC. ``refused_at``: aware, UTC.

    ``tables`` and ``codes`` (ClickHouse's; None: the rows did not fit its types) belong together.
    ``frames``, ``first_seq``, ``last_seq``: None where there are none, or they are not recorded.
    ``folder``: on the pod's machine; only its end where an older version wrote the event.
    """

    name: str
    paper_user: str
    run_id: str
    begin: datetime
    end: datetime
    refused_at: datetime
    tables: tuple[str, ...]
    codes: tuple[int | None, ...]
    error: str
    frames: int | None
    first_seq: int | None
    last_seq: int | None
    folder: str

    @property
    def trade_dates(self) -> tuple[date, ...]:
        """Trade dates that its records touch, ascending."""
        return tuple(trade_dates_between(self.begin, max(self.begin, self.end - _INSTANT)))

    @property
    def missing_frames(self) -> int:
        """Frames that are not stored: none of them where the table ``frames`` took its part."""
        return (self.frames or 0) if "frames" in self.tables else 0

    @property
    def undecoded_frames(self) -> int:
        """Frames that are stored, and some of them without the row that they decode to."""
        lacks_rows = not {"ladder_frames", "quote_frames"}.isdisjoint(self.tables)
        return (self.frames or 0) if lacks_rows and not self.missing_frames else 0


def read_waiting(client: Client) -> list[WaitingBatch]:
    """Every batch that waits, of all paper users and dates. Raises errors of clickhouse-connect."""
    return waiting_batches(client.query(query("refused_batches")).named_results())


def waiting_batches(events: Iterable[Mapping[str, Any]]) -> list[WaitingBatch]:
    """From rows of ``refused_batches.sql``, in their order. Pure.

    An event whose detail names no batch counts as not recorded.
    """
    refused: dict[str, WaitingBatch] = {}
    resent = set()
    for event in events:
        detail = _detail(event["detail"])
        name = detail.get("batch")
        if not isinstance(name, str):
            continue
        if event["kind"] == StreamEventKind.BATCH_RESENT:
            resent.add(name)
        else:
            # Told once more after a crash: the first telling is when it was refused.
            refused.setdefault(name, _waiting(name, event, detail))
    # Both in any order: what was sent again is told at the batch's own time, before its refusal.
    return [batch for name, batch in refused.items() if name not in resent]


def _waiting(name: str, event: Mapping[str, Any], detail: Mapping[str, Any]) -> WaitingBatch:
    refused_at = _EPOCH + timedelta(microseconds=event["at"] // 1000)
    begin, end = _instant(detail.get("begin")), _instant(detail.get("end"))
    if begin is None or end is None:
        begin = end = refused_at
    run_id, folder, error = (detail.get(key) for key in ("run_id", "folder", "error"))
    tables = _list(detail.get("tables"))
    codes = [code if type(code) is int else None for code in _list(detail.get("codes"))]
    return WaitingBatch(
        name=name,
        paper_user=event["paper_user"],
        run_id=run_id if isinstance(run_id, str) else event["run_id"],
        begin=min(begin, end),
        end=max(begin, end),
        refused_at=refused_at,
        tables=tuple(map(str, tables)),
        codes=tuple((codes + [None] * len(tables))[: len(tables)]),
        error=error if isinstance(error, str) else "",
        frames=_count(detail.get("frames")),
        first_seq=_count(detail.get("first_seq")),
        last_seq=_count(detail.get("last_seq")),
        folder=folder if isinstance(folder, str) else f"quarantine/{name}",
    )


def _detail(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
