"""What is asked for, and the pieces it is read in: one statement each, of a bounded number of rows.

A trade date is never split over two pieces, so that a rebuild between two statements changes no
date halfway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
_FINAL_DATES = "SELECT DISTINCT trade_date FROM builds WHERE run_id = ''"
# A window that lasts for no time doubts the frame at its instant.
_DOUBTED = """
ASOF LEFT JOIN
(
    SELECT
        run_id, begin AS doubted_from,
        max(end) OVER (PARTITION BY run_id ORDER BY begin) AS doubted_until
    FROM suspect_windows
    WHERE conid = {conid:UInt64} AND trade_date IN {trade_dates:Array(Date)}
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
    """Trade dates that one statement reads. ``at_most``: rows before suspect ones are dropped.
    ``built``: false for depth of one date straight from the record."""

    conid: int
    trade_dates: tuple[date, ...]
    at_most: int
    built: bool = True

    @property
    def bound(self) -> dict[str, Any]:
        """Parameters of the statement, without those of the selection."""
        bound: dict[str, Any] = {"conid": self.conid, "trade_dates": list(self.trade_dates)}
        return bound if self.built else bound | from_record(self.trade_dates[0])


def from_record(trade_date: date) -> dict[str, Any]:
    """Parameters of ``queries/depth.sql`` for a date without a final build."""
    return {
        "trade_date": trade_date,
        "read_from": trade_date - LOOK_BACK,
        "own_rows": True,
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
    if selection.drop_suspect and table is Table.BARS:
        keep = " AND NOT t.suspect AND NOT t.gap"
    elif selection.drop_suspect and table is Table.DEPTH:
        source, keep = source + _DOUBTED, _NOT_DOUBTED
    return (
        f"SELECT {columns.select(built=piece.built)} FROM {source} "
        "WHERE t.conid = {conid:UInt64} AND t.trade_date IN {trade_dates:Array(Date)} "
        f"AND {selection.condition}{keep} ORDER BY {table.order}"
    )


def pieces_of(client: Client, selection: Selection, trade_dates: Sequence[date]) -> list[Piece]:
    """Pieces of these trade dates that have rows, ascending by date."""
    final = final_dates(client) if selection.table is Table.DEPTH else set(trade_dates)
    pieces: list[Piece] = []
    for leg in selection.contract.legs(trade_dates):
        built = [day for day in leg.trade_dates if day in final]
        raw = [day for day in leg.trade_dates if day not in final]
        counted = [(*row, True) for row in _counted(client, selection, leg.conid, built)]
        counted += [
            (*row, False) for row in _counted(client, selection, leg.conid, raw, built=False)
        ]
        pieces += _grouped(leg.conid, sorted(counted))
    return pieces


def final_dates(client: Client) -> set[date]:
    """Trade dates that were built after their end: table ``depth`` holds these."""
    return {date_of(day) for (day,) in client.query(_FINAL_DATES).result_rows}


def _counted(
    client: Client, selection: Selection, conid: int, days: Sequence[date], *, built: bool = True
) -> list[tuple[date, int]]:
    """Rows by trade date, without dates that have none."""
    if not days:
        return []
    final = " FINAL" if selection.table is Table.QUOTES else ""
    source = f"{selection.table.value} AS t{final}" if built else "ladder_frames AS t FINAL"
    window = "" if built else " AND t.window > 0"
    rows = client.query(
        f"SELECT t.trade_date AS day, count() FROM {source} "
        "WHERE t.conid = {conid:UInt64} AND t.trade_date IN {trade_dates:Array(Date)} "
        f"AND {selection.condition}{window} GROUP BY day ORDER BY day",
        {"conid": conid, "trade_dates": list(days), **selection.bound},
    ).result_rows
    return [(date_of(day), int(count)) for day, count in rows]


def _grouped(conid: int, counted: Iterable[tuple[date, int, bool]]) -> list[Piece]:
    """As many neighbouring dates a piece as stay below PIECE_ROWS, at least one; a date without a
    build (false) alone."""
    pieces: list[Piece] = []
    for day, rows, built in counted:
        last = pieces[-1] if pieces else None
        if last and built and last.built and last.at_most + rows <= PIECE_ROWS:
            pieces[-1] = Piece(conid, (*last.trade_dates, day), last.at_most + rows)
        else:
            pieces.append(Piece(conid, (day,), rows, built))
    return pieces
