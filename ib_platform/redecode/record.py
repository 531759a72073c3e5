"""Reading the record of a run: what its streamer received, in order, and what was decoded of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from ib_platform.redecode.compare import Row
from ib_platform.streamer.arrow import COLUMNS
from ib_platform.streamer.records import Record, RecordKind
from ib_platform.warehouse.inputs import date_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LAST = 2**63 - 1
_RUNS = """
SELECT paper_user, run_id, max(seq) FROM frames
WHERE trade_date BETWEEN {first:Date} AND {last:Date}
GROUP BY paper_user, run_id ORDER BY paper_user, min(received_at), run_id
"""
_BEGAN = """
SELECT least(
    (SELECT min(trade_date) FROM frames WHERE paper_user = {user:String} AND run_id = {run:String}),
    (SELECT if(count() = 0, toDate('2149-06-06'), min(trade_date)) FROM stream_events
     WHERE paper_user = {user:String} AND run_id = {run:String}))
"""
_FRAMES = """
SELECT toUnixTimestamp64Nano(received_at), monotonic_ns, seq, connection, payload FROM frames
WHERE paper_user = {user:String} AND run_id = {run:String}
  AND seq BETWEEN {from_seq:UInt64} AND {to_seq:UInt64}
ORDER BY seq LIMIT 1 BY seq
"""
_EVENTS = """
SELECT toUnixTimestamp64Nano(at), event_no, kind, cause, contract, conid, after_seq, detail
FROM stream_events FINAL
WHERE paper_user = {user:String} AND run_id = {run:String} ORDER BY event_no
"""
_AS_DECODED = {
    "ns": "toUnixTimestamp64Nano({0})",
    "ms": "toUnixTimestamp64Milli({0})",
    "price": "toInt64(toDecimal128({0}, 9) * 1000000000)",
}
"""Columns as the decoder makes them: instants as ns or ms, prices as nanos."""


@dataclass(frozen=True)
class RecordedRun:
    """A streamer run with frames in a span. ``last_seq``: its highest number there."""

    paper_user: str
    run_id: str
    last_seq: int

    @property
    def bound(self) -> dict[str, Any]:
        return {"user": self.paper_user, "run": self.run_id}


def read_runs(client: Client, first: date, last: date) -> list[RecordedRun]:
    """Runs with frames on the trade dates, by paper user and time."""
    rows = client.query(_RUNS, {"first": first, "last": last}).result_rows
    return [RecordedRun(*row) for row in rows]


def first_date(client: Client, run: RecordedRun) -> date:
    """The trade date on which the run began, as far as frames and events tell."""
    return date_of(client.query(_BEGAN, run.bound).result_rows[0][0])


class RunReader:
    """Reads one run in blocks of its numbers; each block once, in order."""

    def __init__(self, client: Client, run: RecordedRun) -> None:
        self._client = client
        self._run = run
        self._events = [_event(*row) for row in client.query(_EVENTS, run.bound).result_rows]

    def records(self, from_seq: int, to_seq: int) -> Iterator[Record]:
        """Frames of the block and the events before each: those that the streamer wrote when it had
        stamped that many frames."""
        bound = {**self._run.bound, "from_seq": from_seq, "to_seq": to_seq}
        rows = self._client.query(_FRAMES, bound, column_formats={"payload": "bytes"}).result_rows
        for row in rows:
            frame = Record(RecordKind.FRAME, *row)
            while self._events and self._events[0][0] <= frame.number:
                yield self._events.pop(0)[1]
            yield frame

    def decoded(self, table: str, from_seq: int, to_seq: int, first: date, last: date) -> list[Row]:
        """Stored rows of the block and the dates, of their newest decoder."""
        asked = ", ".join(
            _AS_DECODED.get(kind, "{0}").format(name) for name, kind in COLUMNS[table]
        )
        rows = self._client.query(
            f"SELECT {asked} FROM {table} FINAL "
            "WHERE trade_date BETWEEN {first:Date} AND {last:Date} AND run_id = {run:String} "
            "AND paper_user = {user:String} AND seq BETWEEN {from_seq:UInt64} AND {to_seq:UInt64}",
            {
                **self._run.bound,
                "from_seq": from_seq,
                "to_seq": to_seq,
                "first": first,
                "last": last,
            },
        ).result_rows
        return [plain(row) for row in rows]


def plain(row: Sequence[Any]) -> Row:
    """The row with arrays as tuples, so that rows of the decoder and of the driver compare."""
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def _event(
    at: int,
    number: int,
    kind: str,
    cause: str | None,
    contract: str | None,
    conid: int | None,
    after_seq: int,
    detail: str,
) -> tuple[int, Record]:
    """An event as its streamer spooled it. What was unreadable then stays so: its detail is no
    JSON, or its kind none of ours."""
    payload = msgspec.json.encode(
        {
            "kind": kind,
            "cause": cause,
            "contract": contract,
            "conid": conid,
            "after_seq": after_seq,
            "detail": msgspec.Raw(detail.encode()),
        }
    )
    return after_seq, Record(RecordKind.EVENT, at, 0, number, 0, payload)
