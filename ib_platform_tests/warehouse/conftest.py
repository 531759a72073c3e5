"""What tests of builds share: a connection to a fresh warehouse, and a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.warehouse.connect import connect
from ib_platform_tests.support import make_config


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connection = connect(warehouse)
    yield connection
    connection.close()


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path)
