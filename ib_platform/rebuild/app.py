"""Looking at the warehouse, and building what is due, several dates at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime

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
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="rebuild") as pool:
        waiting: dict[Future[BuildResult], Step] = {
            pool.submit(_build, config, step.trade_date): step for step in due
        }
        try:
            for future in as_completed(waiting):
                if future.cancelled():
                    continue
                error = future.exception()
                if error is None:
                    yield Done(waiting[future], future.result())
                elif isinstance(error, PlatformError):
                    if is_transient(error):
                        _begin_no_more(waiting)
                    yield Done(waiting[future], None, error)
                else:
                    raise error
        finally:
            _begin_no_more(waiting)


def _build(config: PlatformConfig, trade_date: date) -> BuildResult:
    # A client of its own for each date: their statements run at once.
    with closing(connect(config.clickhouse, role="rebuild")) as client:
        return finalize(client, config, trade_date)


def _begin_no_more(waiting: dict[Future[BuildResult], Step]) -> None:
    for future in waiting:
        future.cancel()
