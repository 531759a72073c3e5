"""A warehouse with two recorded dates for each test, and the configuration that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig, dump_config, load_config
from ib_platform.warehouse.connect import connect
from ib_platform_tests.rebuild.recorded import config_of, record


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        yield opened


@pytest.fixture
def recorded(client: Any) -> Any:
    """The client of a warehouse with a record and nothing built."""
    record(client)
    return client


@pytest.fixture
def config_file(warehouse: ClickHouse, tmp_path: Path) -> Path:
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config_of(warehouse, tmp_path)), encoding="utf-8")
    return file


@pytest.fixture
def config(config_file: Path) -> PlatformConfig:
    """As the command reads it."""
    return load_config(config_file)
