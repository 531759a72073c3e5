"""Inserts of a real loader into a real ClickHouse, as their metrics tell them."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer.decode import TABLES
from ib_platform.streamer.insert_metrics import InsertMetrics
from ib_platform.warehouse.connect import UNKNOWN_DATABASE
from ib_platform_tests.ports import free_port
from ib_platform_tests.scrape import Scrape
from ib_platform_tests.streamer.spools import HEARTBEAT, append, loader_of, open_spool
from ib_platform_tests.support import capture_ladder_payloads, wait_until

RETRIES = "ib_platform_insert_retries_total"
ROWS = "ib_platform_insert_rows"
SECONDS = "ib_platform_insert_duration_seconds"


def seen(registry: CollectorRegistry) -> Scrape:
    return Scrape(generate_latest(registry).decode())


def test_every_table_and_no_failure_stand_there_from_the_beginning() -> None:
    registry = CollectorRegistry()
    InsertMetrics(registry)
    found = seen(registry)
    assert {labels["table"] for labels, _ in found.samples(f"{ROWS}_count")} == set(TABLES)
    assert found.samples(RETRIES) == [({"code": "none"}, 0.0)]


def test_rows_and_seconds_of_each_insert(tmp_path: Path, warehouse: ClickHouse) -> None:
    registry = CollectorRegistry()
    spool = open_spool(tmp_path)
    append(spool, [*capture_ladder_payloads()[:119], HEARTBEAT])
    spool.append_event(StreamEventKind.RUN_STOPPED)
    limits = Limits(load_rows=50)
    assert loader_of(spool, warehouse, limits, observer=InsertMetrics(registry)).drain()
    spool.close()
    found = seen(registry)
    assert found.value(f"{ROWS}_count", table="frames") == 3
    assert found.value(f"{ROWS}_sum", table="frames") == 120
    assert found.value(f"{ROWS}_bucket", table="frames", le="10.0") == 0
    assert found.value(f"{ROWS}_bucket", table="frames", le="50.0") == 3
    assert found.value(f"{ROWS}_sum", table="ladder_frames") == 119
    assert found.value(f"{ROWS}_sum", table="stream_events") == 1
    assert found.value(f"{ROWS}_count", table="quote_frames") == 0
    for table in ("frames", "ladder_frames", "stream_events"):
        assert found.value(f"{SECONDS}_count", table=table) == found.value(
            f"{ROWS}_count", table=table
        )
        seconds = found.value(f"{SECONDS}_sum", table=table)
        assert seconds is not None
        assert seconds > 0
    assert found.value(RETRIES, code="none") == 0


def test_failed_tries_are_counted_by_the_code_of_clickhouse(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    registry = CollectorRegistry()
    observer = InsertMetrics(registry)
    spool = open_spool(tmp_path)
    append(spool, [HEARTBEAT])
    for wrong in (
        warehouse.model_copy(update={"database": "nobody_made_this"}),
        warehouse.model_copy(update={"port": free_port()}),
    ):
        before = _failures(registry)
        loader = loader_of(spool, wrong, observer=observer)
        loader.start()
        wait_until(lambda before=before: _failures(registry) > before, "a failed try")  # type: ignore[misc]
        loader.stop(1)
    found = seen(registry)
    spool.close()
    counted = {labels["code"]: value for labels, value in found.samples(RETRIES)}
    # The last try before the end of a loader is one of them.
    assert set(counted) == {str(UNKNOWN_DATABASE), "none"}
    assert min(counted.values()) >= 1
    assert found.value(f"{ROWS}_count", table="frames") == 0


def _failures(registry: CollectorRegistry) -> float:
    return sum(value for _, value in seen(registry).samples(RETRIES))
