"""From a question to the statements that answer it, refused where nothing can answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_platform.config import ClickHouse
from ib_platform.marketdata.bars import BarSize
from ib_platform.research.columns import Columns, Table
from ib_platform.research.continuous import find_product
from ib_platform.research.contracts import Contracts, NamedContract
from ib_platform.research.existing import (
    at_least,
    refuse_nothing,
    refuse_unbuilt,
    refuse_unchecked,
    verdict_of,
    verdicts,
)
from ib_platform.research.rows import Rows, Statement
from ib_platform.research.selection import Selection, pieces_of, statement
from ib_platform.research.span import ReadSpan
from ib_platform.states import Verdict
from ib_platform.warehouse.connect import warehouse_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_OVERLAPPING = " AND t.begin < {end:DateTime64(9, 'UTC')} AND t.end > {begin:DateTime64(9, 'UTC')}"


@dataclass(frozen=True)
class Reader:
    """Makes ``Rows`` of what was asked for.

    Its methods raise SelectionError for what does not exist, and WarehouseError where ClickHouse
    does not answer.
    """

    client: Client
    settings: ClickHouse

    def pieces(
        self,
        table: Table,
        contract: str | int,
        span: ReadSpan,
        *,
        bar_size: BarSize | None = None,
        min_verdict: Verdict | str | None = None,
        drop_suspect: bool = False,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Of one contract, or one product's continuous series, read piece by piece: tables that may
        be big."""
        minimum = None if min_verdict is None else verdict_of(min_verdict)
        with warehouse_errors(self.settings, f"read {table.value}"):
            named = self._named(table, contract)
            chosen = Columns.read(self.client, table, columns)
            selection = Selection(table, named, span, bar_size, drop_suspect)
            reports = verdicts(self.client, named, span)
            pieces = pieces_of(self.client, selection)
            if not pieces:
                refuse_nothing(self.client, selection, reports)
            if minimum is not None:
                words = at_least(minimum)
                pieces = pieces_of(self.client, selection, lambda day: reports.get(day) in words)
            return self._rows(
                chosen,
                [
                    Statement(
                        statement(selection, chosen, piece),
                        {**selection.bound, **piece.bound},
                        piece.at_most,
                    )
                    for piece in pieces
                ],
            )

    def whole(
        self,
        table: Table,
        contract: str | int | None,
        span: ReadSpan,
        *,
        min_verdict: Verdict | str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Of one contract or all (None), in one statement: tables that stay small. Gaps that
        overlap the span, reports of the trade dates that it touches."""
        condition = "t.trade_date BETWEEN {first_date:Date} AND {last_date:Date}"
        bound: dict[str, Any] = {**span.dates}
        if table is Table.GAPS:
            condition += _OVERLAPPING
            bound |= span.bound
        if min_verdict is not None:
            condition += " AND t.verdict IN {verdicts:Array(String)}"
            bound["verdicts"] = at_least(verdict_of(min_verdict))
        with warehouse_errors(self.settings, f"read {table.value}"):
            if contract is not None:
                named = Contracts.read(self.client).find(contract)
                by_key = named.key is not None
                condition += (
                    " AND t.contract = {contract:String}"
                    if by_key
                    else (" AND t.conid = {conid:UInt64}")
                )
                bound |= {"contract": named.key} if by_key else {"conid": named.conids[0]}
            chosen = Columns.read(self.client, table, columns)
            source = f"FROM {table.value} AS t WHERE {condition}"
            (found,) = self.client.query(f"SELECT count() {source}", bound).result_rows[0]
            if not found:
                refuse_unbuilt(self.client, span)
                if table is Table.CHECKS:
                    refuse_unchecked(self.client, condition, bound)
            sql = f"SELECT {chosen.select()} {source} ORDER BY {table.order}"
            return self._rows(chosen, [Statement(sql, bound, found)] if found else [])

    def _named(self, table: Table, contract: str | int) -> NamedContract:
        if table is Table.CONTINUOUS:
            return find_product(self.client, str(contract))
        return Contracts.read(self.client).find(contract)

    def _rows(self, columns: Columns, statements: Sequence[Statement]) -> Rows:
        return Rows(self.client, self.settings, columns.schema(self.client), statements)
