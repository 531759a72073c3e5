"""What is asked for, and the pieces it is read in: one statement each, of a bounded number of rows.

A trade date is never split over two pieces, so that a rebuild between two statements changes no
date halfway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.bars import BarSize
from ib_platform.research.columns import Columns, Table
from ib_platform.research.contracts import NamedContract
from ib_platform.research.span import ReadSpan
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.late_inputs import LOOK_BACK
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PIECE_ROWS = 1_000_000
"""A further trade date joins a piece while it stays below this."""
_FINAL = "SELECT DISTINCT trade_date FROM builds WHERE run_id = ''"
_COUNTED = """
SELECT t.trade_date AS day, t.conid, count()
FROM {source} WHERE t.conid IN {{conids:Array(UInt64)}}
  AND t.trade_date BETWEEN {{first_date:Date}} AND {{last_date:Date}} AND {condition}
GROUP BY t.trade_date, t.conid
"""
# A window that lasts for no time doubts the frame at its instant.
_DOUBTED = """
ASOF LEFT JOIN
(
    SELECT
        run_id, begin AS doubted_from,
        max(end) OVER (PARTITION BY run_id ORDER BY begin) AS doubted_until
    FROM suspect_windows
    WHERE conid = {conid:UInt64} AND trade_date BETWEEN {first_date:Date} AND {last_date:Date}
) AS doubts ON t.run_id = doubts.run_id AND t.received_at >= doubts.doubted_from
"""
_NOT_DOUBTED = (
    " AND NOT t.suspect AND NOT (doubts.doubted_until > t.received_at"
    " OR doubts.doubted_from = t.received_at)"
)


@dataclass(frozen=True)
class Selection:
    """One contract's rows of a table in a span. ``bar_size``: of bars alone."""

    table: Table
    contract: NamedContract
    span: ReadSpan
    bar_size: BarSize | None = None
    drop_suspect: bool = False

    @property
    def bound(self) -> dict[str, Any]:
        """Parameters of ``condition``."""
        size = {} if self.bar_size is None else {"bar_size": self.bar_size.value}
        return {**self.span.bound, **size}

    @property
    def condition(self) -> str:
        """Of the span and the bar size, over the table under the name ``t``."""
        instant = f"t.{self.table.instant}"
        size = "" if self.bar_size is None else " AND t.bar_size = {bar_size:String}"
        return (
            f"{instant} >= {{begin:DateTime64(9, 'UTC')}}"
            f" AND {instant} < {{end:DateTime64(9, 'UTC')}}{size}"
        )


@dataclass(frozen=True)
class Piece:
    """Trade dates that one statement reads: those of [first_date, last_date] in which the conid has
    rows. ``at_most``: rows before suspect ones are dropped. ``built``: false for depth of one date
    straight from the record."""

    conid: int
    first_date: date
    last_date: date
    at_most: int
    built: bool = True

    @property
    def bound(self) -> dict[str, Any]:
        """Parameters of the statement, without those of the selection."""
        bound: dict[str, Any] = {
            "conid": self.conid,
            "first_date": self.first_date,
            "last_date": self.last_date,
        }
        return bound if self.built else bound | from_record(self.first_date)


def from_record(trade_date: date) -> dict[str, Any]:
    """Parameters of ``queries/depth.sql`` for a date without a final build: how long its states
    were in force is told by the spans of time of its last build."""
    return {
        "trade_date": trade_date,
        "read_from": trade_date - LOOK_BACK,
        "own_rows": True,
        **{table: table for table in ("spells", "gaps", "phases")},
        "inputs_version": "",
        "built_at": "1970-01-01 00:00:00.000",
    }


def statement(selection: Selection, columns: Columns, piece: Piece) -> str:
    """The SQL that reads ``piece``; its parameters are those of selection and piece."""
    table = selection.table
    source = table.value if piece.built else f"({query('depth')})"
    # Two decodings of a frame are one row only after a merge.
    source += " AS t" + (" FINAL" if table is Table.QUOTES else "")
    keep = ""
    if selection.drop_suspect and table.of_bars:
        keep = " AND NOT t.suspect AND NOT t.gap"
    elif selection.drop_suspect and table is Table.DEPTH:
        source, keep = source + _DOUBTED, _NOT_DOUBTED
    return (
        f"SELECT {columns.select(built=piece.built)} FROM {source} "
        "WHERE t.conid = {conid:UInt64} "
        "AND t.trade_date BETWEEN {first_date:Date} AND {last_date:Date} "
        f"AND {selection.condition}{keep} ORDER BY {table.order}"
    )


def pieces_of(
    client: Client, selection: Selection, wanted: Callable[[date], bool] = lambda _: True
) -> list[Piece]:
    """Pieces of the span's trade dates that are wanted and have rows, ascending by date."""
    pieces: list[Piece] = []
    skipped = False
    for day, conid, rows, built in sorted(_counted(client, selection)):
        if conid != selection.contract.conid_on(day) or not wanted(day):
            skipped = True
            continue
        last = pieces[-1] if pieces and not skipped else None
        skipped = False
        if (
            last
            and built
            and last.built
            and last.conid == conid
            and (last.at_most + rows <= PIECE_ROWS)
        ):
            pieces[-1] = Piece(conid, last.first_date, day, last.at_most + rows)
        else:
            pieces.append(Piece(conid, day, day, rows, built))
    return pieces


def final_dates(client: Client) -> set[date]:
    """Trade dates that were built after their end: table ``depth`` holds these."""
    return {date_of(day) for (day,) in client.query(_FINAL).result_rows}


def _counted(client: Client, selection: Selection) -> Iterator[tuple[date, int, int, bool]]:
    """(trade date, conid, rows, whether they are built) where there are rows."""
    table = selection.table
    if table is not Table.DEPTH:
        final = " FINAL" if table is Table.QUOTES else ""
        yield from _count(client, selection, f"{table.value} AS t{final}", "", built=True)
        return
    yield from _count(
        client, selection, "depth AS t", f" AND t.trade_date IN ({_FINAL})", built=True
    )
    of_windows = f" AND t.window > 0 AND t.trade_date NOT IN ({_FINAL})"
    yield from _count(client, selection, "ladder_frames AS t FINAL", of_windows, built=False)


def _count(
    client: Client, selection: Selection, source: str, also: str, *, built: bool
) -> Iterator[tuple[date, int, int, bool]]:
    sql = _COUNTED.format(source=source, condition=selection.condition + also)
    bound = {"conids": selection.contract.conids, **selection.span.dates, **selection.bound}
    for day, conid, rows in client.query(sql, bound).result_rows:
        yield date_of(day), int(conid), int(rows), built
