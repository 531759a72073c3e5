"""Planning retention over the warehouse, and doing it: one run at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError, PlatformInUseError
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.retention.drop import drop, fingerprint, finish_drops, unfinished_drops
from ib_platform.retention.export import Export, export
from ib_platform.retention.plan import TABLES, Partition, Step, due_partitions, plan_retention
from ib_platform.retention.standing import unfinished_dates, unproven
from ib_platform.warehouse.connect import connect, warehouse_errors
from ib_platform.warehouse.dropped import INPUTS, dropped_tables

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_STORED = """
SELECT table, partition, sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
GROUP BY table, partition HAVING sum(rows) > 0
"""


@dataclass(frozen=True)
class Done:
    """What became of a step: ``export`` has its rows and it is dropped, or it was kept."""

    step: Step
    export: Export | None
    kept_because: str | None


@dataclass(frozen=True)
class Outlook:
    """A plan. ``unfinished``: tables with a partition that a killed run has moved out; the next
    ``apply`` ends that first."""

    steps: Sequence[Step]
    unfinished: Sequence[str]


def look(config: PlatformConfig, now: datetime) -> Outlook:
    """What ``apply`` would do. Changes nothing.

    Raises WarehouseError.
    """
    with _client(config) as client:
        return Outlook(_plan(client, config, now), unfinished_drops(client))


def apply(config: PlatformConfig, now: datetime) -> Iterator[Done | str]:
    """Export, verify and drop what is due, oldest date first; answers each step once it is done,
    and in words what an earlier run had left. May be ended and repeated at any time.

    Raises:
        ConfigurationError: no export folder is configured.
        PlatformInUseError: another run is at it.
        PlatformError: a file cannot be written; what was dropped before it is exported.
        WarehouseError: ClickHouse did not answer.
    """
    folder = config.retention.export_folder
    if folder is None:
        raise ConfigurationError(
            "retention.export_folder is not set: nothing is dropped that is not exported"
        )
    with _alone(folder), _client(config) as client:
        yield from finish_drops(client)
        for step in _plan(client, config, now):
            yield _do(client, step, folder)


def _do(client: Client, step: Step, folder: Path) -> Done:
    if step.kept_because is not None:
        return Done(step, None, step.kept_because)
    table, day = step.partition.table, step.partition.trade_date
    found = fingerprint(client, table, day)
    exported = export(client, table, day, folder)
    if exported.rows == found.rows and drop(client, table, day, exported, found, datetime.now(UTC)):
        return Done(step, exported, None)
    return Done(step, exported, "its rows changed while it was exported")


def _plan(client: Client, config: PlatformConfig, now: datetime) -> list[Step]:
    stored = [
        Partition(str(table), date.fromisoformat(day), int(rows), int(size))
        for table, day, rows, size in client.query(_STORED, {"tables": list(TABLES)}).result_rows
    ]
    due = due_partitions(stored, config.retention.ages, trade_date_of(now))
    days = sorted({one.trade_date for one in due})
    dropped = dropped_tables(client)
    unfinished = unfinished_dates(client, days, dropped)
    refused = {day: unfinished[day] for day in days if day in unfinished}
    for day in days:
        # What has lost its frames was proven before it lost them, and cannot be proven again.
        if day not in refused and INPUTS[0] not in dropped.get(day, set()):
            why = unproven(config, day)
            if why is not None:
                refused[day] = why
    return plan_retention(due, stored, refused, unfinished)


@contextmanager
def _client(config: PlatformConfig) -> Iterator[Client]:
    with (
        closing(connect(config.clickhouse, role="retention")) as client,
        warehouse_errors(config.clickhouse, "retention"),
    ):
        yield client


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs would move partitions under each other's hands."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".retention.lock").open("w")
    except OSError as error:
        raise ConfigurationError(
            f"retention.export_folder {folder} cannot be used: {error.strerror}"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PlatformInUseError(
                f"{folder}: another `ib-platform retention --apply` is at work. Wait for it."
            ) from error
        yield
