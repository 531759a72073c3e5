"""Looking at the warehouse, and building what is due, several dates at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from threading import Event

from ib_platform.config import PlatformConfig
from ib_platform.errors import PlatformError
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.rebuild.plan import Step, plan_rebuild
from ib_platform.warehouse.compact import BuildResult, finalize, thresholds_of
from ib_platform.warehouse.connect import connect, is_transient, warehouse_errors
from ib_platform.warehouse.due import standings
from ib_platform.warehouse.sql import inputs_version


@dataclass(frozen=True)
class Done:
    """What became of a step: ``built``, or why it ``failed``."""

    step: Step
    built: BuildResult | None
    failed: PlatformError | None = None


def look(
    config: PlatformConfig,
    now: datetime,
    first: date | None,
    last: date | None,
    *,
    force: bool = False,
) -> list[Step]:
    """What a rebuild of the span would do. Changes nothing.

    Raises SelectionError, as ``plan_rebuild``, and WarehouseError.
    """
    version = inputs_version(thresholds_of(config))
    with (
        closing(connect(config.clickhouse, role="rebuild")) as client,
        warehouse_errors(config.clickhouse, "look at what is built"),
    ):
        found = standings(client, now, version, first)
    return plan_rebuild(found, first, last, trade_date_of(now), force=force)


def rebuild(config: PlatformConfig, steps: Sequence[Step], jobs: int) -> Iterator[Done]:
    """Build the dates of ``steps`` that are to be built, ``jobs`` at once, in any order; answers
    each once it is done. May be ended and repeated at any time.

    A date that fails keeps its old rows and the others go on; when ClickHouse does not answer, no
    further date is begun.
    """
    due = [step for step in steps if step.because is not None]
    no_more = Event()
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="rebuild") as pool:
        waiting = [pool.submit(_build, config, step, no_more) for step in due]
        try:
            for future in as_completed(waiting):
                if (done := future.result()) is not None:
                    yield done
        finally:
            no_more.set()


def _build(config: PlatformConfig, step: Step, no_more: Event) -> Done | None:
    """None: it was not begun. The thread that fails says so itself: it takes the next date before
    anybody else hears of it."""
    if no_more.is_set():
        return None
    try:
        # A client of its own for each date: their statements run at once.
        with closing(connect(config.clickhouse, role="rebuild")) as client:
            return Done(step, finalize(client, config, step.trade_date))
    except PlatformError as error:
        if is_transient(error):
            no_more.set()
        return Done(step, None, error)
