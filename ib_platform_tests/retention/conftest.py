"""A warehouse with three finished, old trade dates for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.retention.plan import TABLES
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.retention.recorded import config_of, finish, record

_DERIVED = (
    "spells", "phases", "gaps", "suspect_windows", "quality_report", "quality_checks", "builds",
)  # fmt: skip


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        yield opened


@pytest.fixture
def config(warehouse: ClickHouse, tmp_path: Path) -> PlatformConfig:
    return config_of(warehouse, tmp_path)


@pytest.fixture(scope="session")
def template(
    clickhouse_server: ClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database with the three dates, built once."""
    settings = clickhouse_server.model_copy(update={"database": f"test_{secrets.token_hex(6)}"})
    migrate(settings)
    with closing(connect(settings)) as opened:
        record(opened)
        finish(opened, config_of(settings, tmp_path_factory.mktemp("template")))
        yield settings.database
        opened.command("DROP DATABASE {name:Identifier} SYNC", {"name": settings.database})


@pytest.fixture
def finished(client: Any, template: str) -> Any:
    """A client of a warehouse with the three dates, of its own."""
    for table in ("assignments", "contracts", "stream_events", *_DERIVED, *TABLES):
        client.command(f"ALTER TABLE {table} ATTACH PARTITION ALL FROM {template}.{table}")
    return client
