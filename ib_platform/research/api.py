"""``Warehouse``: bars, depth, quotes, gaps, quality reports and single books, for research."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ib_platform.config import ClickHouse, load_config
from ib_platform.marketdata.bars import BarSize
from ib_platform.research.book import Book, read_book
from ib_platform.research.columns import Table
from ib_platform.research.contracts import Contracts
from ib_platform.research.existing import bar_size_of
from ib_platform.research.reader import Reader
from ib_platform.research.rows import Rows
from ib_platform.research.span import When, span_between, to_instant
from ib_platform.states import Verdict
from ib_platform.warehouse.connect import connect, warehouse_errors


class Warehouse:
    """Everything that was recorded, read only. One connection; close it, or use ``with``.

    Contracts are named by key (``CL.NYMEX.front``: the conid that it meant on each trade date) or
    by conid. A span goes from ``begin`` to ``end`` (exclusive): aware datetimes, or trade dates,
    which mean their start as ``begin`` and their end as ``end``; a trade date alone means itself.
    Instants in answers are UTC, prices exact decimals, unknown is null; docs/data.md has the
    columns, and ``columns`` chooses among them.

    Every method raises SelectionError for what does not exist, naming what does, and
    WarehouseError where ClickHouse does not answer.
    """

    def __init__(self, settings: ClickHouse) -> None:
        """Raises WarehouseError: no answer, wrong password, unknown database."""
        self._settings = settings
        self._client = connect(settings, role="research")
        self._reader = Reader(self._client, settings)

    @classmethod
    def open(cls, config: Path | str | None = None) -> Self:
        """The warehouse of a configuration file; else of IB_PLATFORM_CONFIG, else of
        ``ib_platform.yaml`` in the current folder. Raises ConfigurationError."""
        return cls(load_config(None if config is None else Path(config)).clickhouse)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def contracts(self) -> list[str]:
        """Contract keys that were ever resolved, ascending."""
        with warehouse_errors(self._settings, "read the contracts"):
            return Contracts.read(self._client).keys

    def bars(
        self,
        contract: str | int,
        size: BarSize | str,
        begin: When,
        end: When | None = None,
        *,
        min_verdict: Verdict | str | None = None,
        drop_suspect: bool = False,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Bars that start in the span, by start.

        ``min_verdict``: only of trade dates whose quality report says this or better; a date
        without a report has no verdict. The column ``verdict`` says the same of a closed date, and
        pending of an open one. ``drop_suspect``: without bars that are marked suspect or that a gap
        touches.
        """
        return self._reader.pieces(
            Table.BARS, contract, span_between(begin, end), bar_size=bar_size_of(size),
            min_verdict=min_verdict, drop_suspect=drop_suspect, columns=columns,
        )  # fmt: skip

    def continuous(
        self,
        product: str,
        size: BarSize | str,
        begin: When,
        end: When | None = None,
        *,
        min_verdict: Verdict | str | None = None,
        drop_suspect: bool = False,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Bars of a product's continuous series (view ``continuous_bars``) that start in the span:
        the columns of ``bars`` unadjusted, and back-adjusted prices beside them.

        ``product``: like ``CL.NYMEX``. A back-adjusted price is null where the difference of a roll
        after the bar is unknown (table ``rolls``). Filters: see ``bars``.
        """
        return self._reader.pieces(
            Table.CONTINUOUS, product, span_between(begin, end), bar_size=bar_size_of(size),
            min_verdict=min_verdict, drop_suspect=drop_suspect, columns=columns,
        )  # fmt: skip

    def depth(
        self,
        contract: str | int,
        begin: When,
        end: When | None = None,
        *,
        min_verdict: Verdict | str | None = None,
        drop_suspect: bool = False,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Book states by received_at. Of a trade date that is still open they come straight from
        the record: slower, ``inputs_version`` and ``built_at`` are null, and so is ``in_force_ns``
        of what came after the last build.

        ``min_verdict``: see ``bars``. ``drop_suspect``: without states that are marked suspect or
        lie in a suspect window of their streamer run.
        """
        return self._reader.pieces(
            Table.DEPTH, contract, span_between(begin, end),
            min_verdict=min_verdict, drop_suspect=drop_suspect, columns=columns,
        )  # fmt: skip

    def quotes(
        self,
        contract: str | int,
        begin: When,
        end: When | None = None,
        *,
        min_verdict: Verdict | str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Quote frames (table ``quote_frames``) by received_at; null: not in this frame."""
        return self._reader.pieces(
            Table.QUOTES, contract, span_between(begin, end),
            min_verdict=min_verdict, columns=columns,
        )  # fmt: skip

    def gaps(
        self,
        contract: str | int | None,
        begin: When,
        end: When | None = None,
        *,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Gaps that overlap the span, whole, by begin; of all contracts for None."""
        return self._reader.whole(Table.GAPS, contract, span_between(begin, end), columns=columns)

    def quality(
        self,
        contract: str | int | None,
        begin: When,
        end: When | None = None,
        *,
        min_verdict: Verdict | str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """Quality reports of the trade dates that the span touches; of all contracts for None."""
        return self._reader.whole(
            Table.QUALITY, contract, span_between(begin, end),
            min_verdict=min_verdict, columns=columns,
        )  # fmt: skip

    def quality_checks(
        self,
        contract: str | int | None,
        begin: When,
        end: When | None = None,
        *,
        columns: Sequence[str] | None = None,
    ) -> Rows:
        """The 33 checks of the trade dates that the span touches, by trade date, contract and code;
        of all contracts for None. docs/quality.md has them."""
        return self._reader.whole(Table.CHECKS, contract, span_between(begin, end), columns=columns)

    def book_at(self, contract: str | int, time: When) -> Book:
        """The book at an instant, or why it is not known."""
        at = to_instant(time)
        with warehouse_errors(self._settings, "read a book"):
            return read_book(self._client, Contracts.read(self._client).find(contract), at)
