"""A warehouse with the example's trade date, recorded and built once for all tests of the page."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.report.example import record
from ib_platform_tests.support import make_config


@pytest.fixture(scope="module")
def config(
    clickhouse_server: ClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlatformConfig]:
    """Of that warehouse."""
    settings = clickhouse_server.model_copy(update={"database": f"test_{secrets.token_hex(6)}"})
    migrate(settings)
    folder = tmp_path_factory.mktemp("report")
    config = make_config(folder, clickhouse=settings.model_dump())
    with closing(connect(settings)) as opened:
        record(opened, config, hours=3)
    yield config
    with closing(connect(settings, database="default")) as opened:
        opened.command(f"DROP DATABASE {settings.database} SYNC")


@pytest.fixture(scope="module")
def client(config: PlatformConfig) -> Iterator[Any]:
    with closing(connect(config.clickhouse)) as opened:
        yield opened
