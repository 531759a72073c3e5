"""What a streamer does beside the frame's way: rows for people, and durability of the spool.

None of it may disturb streaming: a database that is away costs heartbeat rows, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.config import ClickHouse
from ib_platform.errors import SpoolError, WarehouseError
from ib_platform.health import StreamerHealth
from ib_platform.states import SpoolFill
from ib_platform.streamer.contract_facts import ContractRow
from ib_platform.streamer.room import SpoolRoom
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import Client, connect, warehouse_errors

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)
_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 10
_MEASURE_EVERY = 1.0


def heartbeats_table(health: StreamerHealth, at: datetime) -> pyarrow.Table:
    """One row of the table ``heartbeats``. ``at``: an aware instant, kept to the millisecond."""
    frames, loader = health.frames, health.loader
    return _table(
        [
            ("at", "timestamp", [_milliseconds(at)]),
            ("paper_user", "string", [health.paper_user]),
            ("run_id", "string", [health.run_id]),
            ("state", "string", [health.state.value]),
            ("received", "uint64", [frames.received]),
            ("spooled", "uint64", [frames.spooled]),
            ("stored", "uint64", [frames.stored]),
            ("undecodable", "uint64", [frames.undecodable]),
            ("lag_seconds", "float64", [loader.lag_seconds]),
            ("spool_bytes", "uint64", [loader.pending_bytes]),
        ]
    )


def contracts_table(rows: Sequence[ContractRow]) -> pyarrow.Table:
    """Rows of the table ``contracts``, in the same order."""
    return _table(
        [
            ("contract", "string", [row.contract for row in rows]),
            ("conid", "uint64", [row.conid for row in rows]),
            ("symbol", "string", [row.symbol for row in rows]),
            ("exchange", "string", [row.exchange for row in rows]),
            ("calendar", "string", [row.calendar for row in rows]),
            ("expiry", "date32", [row.expiry for row in rows]),
            ("last_trade_date", "date32", [row.last_trade_date for row in rows]),
            ("multiplier", "float64", [row.multiplier for row in rows]),
            ("resolved_at", "timestamp", [_milliseconds(row.resolved_at) for row in rows]),
            ("trade_date", "date32", [row.trade_date for row in rows]),
            ("tick", "decimal", [row.tick for row in rows]),
            (
                "schedule_known_at",
                "timestamp",
                [row.schedule_known_at and _milliseconds(row.schedule_known_at) for row in rows],
            ),
            ("schedule_dates", "dates", [[day.day for day in row.schedule] for row in rows]),
            ("schedule_opens", "instants", [[day.opens for day in row.schedule] for row in rows]),
            ("schedule_closes", "instants", [[day.closes for day in row.schedule] for row in rows]),
        ]
    )


def _milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _table(columns: Sequence[tuple[str, str, list[Any]]]) -> pyarrow.Table:
    # Arrow, like all inserts: Client.insert would import numpy and pandas for a row every 5 s.
    import pyarrow

    kinds = {
        "timestamp": pyarrow.timestamp("ms", tz="UTC"),
        "decimal": pyarrow.decimal128(18, 9),
        "dates": pyarrow.list_(pyarrow.date32()),
        "instants": pyarrow.list_(pyarrow.timestamp("s", tz="UTC")),
    }
    arrays = [
        pyarrow.array(values, kinds.get(kind) or getattr(pyarrow, kind)())
        for _, kind, values in columns
    ]
    return pyarrow.Table.from_arrays(arrays, names=[name for name, _, _ in columns])


class RowWriter:
    """A thread that writes ``contracts`` (until it succeeds) and ``heartbeats`` (once)."""

    def __init__(self, settings: ClickHouse, every: float) -> None:
        self._settings = settings
        self._every = every
        self._health: StreamerHealth | None = None
        self._contracts: queue.SimpleQueue[ContractRow] = queue.SimpleQueue()
        self._unwritten: list[ContractRow] = []
        self._client: Client | None = None
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rows", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread write once more and end. Does not wait; the thread delays no exit."""
        self._stopping.set()

    def stop(self, timeout: float = _READ_TIMEOUT + 1) -> None:
        """Write once more and end the thread; waits for it at most ``timeout`` seconds."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def contract(self, row: ContractRow) -> None:
        """Take a row for the table ``contracts``. Does not block."""
        self._contracts.put(row)

    def observed(self, health: StreamerHealth) -> None:
        """Take the newest health: what the next heartbeat row says. Does not block."""
        self._health = health

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self._write()
        self._write()
        self._close()

    def _write(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._unwritten.append(self._contracts.get_nowait())
        try:
            if self._unwritten:
                self._insert("contracts", contracts_table(self._unwritten))
                self._unwritten.clear()
            if (health := self._health) is not None:
                self._insert("heartbeats", heartbeats_table(health, datetime.now(UTC)))
        except Exception as error:
            # The thread's boundary: an error that nobody expected must not end it silently.
            self._close()
            if not self._failing:
                expected = isinstance(error, WarehouseError)
                logger.warning("heartbeats are not written: %s", error, exc_info=not expected)
            self._failing = True
            return
        if self._failing:
            logger.info("heartbeats are written again")
        self._failing = False

    def _insert(self, table: str, rows: pyarrow.Table) -> None:
        if self._client is None:
            self._client = connect(
                self._settings,
                role="heartbeats",
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
            )
        with warehouse_errors(self._settings, f"insert into {table}"):
            self._client.insert_arrow(table, rows)

    def _close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.close()
            self._client = None


async def sync_regularly(spool: Spool, every: float) -> None:
    """fsync the spool every ``every`` seconds, in a thread. Raises SpoolError."""
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(spool.sync)


async def measure_regularly(room: SpoolRoom) -> None:
    """Measure the spool's room every second, in a thread, and say when its fill changes. What keeps
    it from being measured is said once."""
    known, said = SpoolFill.WELL, ""
    while True:
        await asyncio.sleep(_MEASURE_EVERY)
        try:
            fill = await asyncio.to_thread(room.measure)
        except SpoolError as error:
            if said != (said := str(error)):
                logger.warning("the spool cannot be measured: %s", said)
            continue
        said = ""
        if fill is not known:
            level = logging.INFO if fill is SpoolFill.WELL else logging.ERROR
            used, limit = room.budget.used, room.budget.limit
            logger.log(level, "the spool uses %d of its %d bytes (%s)", used, limit, fill)
        known = fill
