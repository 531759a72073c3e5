"""Size and duration of the loader's inserts, and their failures by ClickHouse's code."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from ib_platform.metrics import name_of
from ib_platform.streamer.decode import TABLES
from ib_platform.streamer.insert_observer import InsertObserver

NO_CODE = "none"
_ROWS = (1, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class InsertMetrics(InsertObserver):
    """Registers its metrics with ``registry``. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Histogram(
            name_of("insert_rows"),
            "Rows of an insert that ClickHouse acknowledged",
            ["table"],
            buckets=_ROWS,
            registry=registry,
        )
        self._seconds = Histogram(
            name_of("insert_duration_seconds"),
            "Duration of the try that ClickHouse acknowledged, connecting included",
            ["table"],
            unit="seconds",
            buckets=_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            name_of("insert_retries"),
            "Tries of an insert that failed and were repeated, by ClickHouse's error code; "
            "none: it gave none, for example because it did not answer",
            ["code"],
            registry=registry,
        )
        for table in TABLES:
            self._rows.labels(table)
            self._seconds.labels(table)
        self._retries.labels(NO_CODE)

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        self._rows.labels(table).observe(rows)
        self._seconds.labels(table).observe(seconds)

    def failed(self, code: int | None) -> None:
        self._retries.labels(NO_CODE if code is None else str(code)).inc()
