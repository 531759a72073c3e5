"""The platform as a Dagster resource: its configuration and ClickHouse, read when used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from ib_platform.config import PlatformConfig, load_config

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Platform(dg.ConfigurableResource[None]):
    """Configuration and connections of the platform.

    The file is read at each use, so that definitions load without it and a changed file needs no
    restart.
    """

    config_file: str = Field(
        default="",
        description="Configuration file; empty: what IB_PLATFORM_CONFIG names, else "
        "ib_platform.yaml in the current folder",
    )

    def config(self) -> PlatformConfig:
        """The configuration as it is on disk now. Raises ConfigurationError."""
        return load_config(Path(self.config_file) if self.config_file else None)

    @contextmanager
    def client(self, role: str) -> Iterator[Client]:
        """A ClickHouse client, closed at the end. Raises WarehouseError."""
        # Every run process would pay for this import, also the ones that only restart pods.
        from ib_platform.warehouse.connect import connect

        client = connect(self.config().clickhouse, role=role)
        try:
            yield client
        finally:
            client.close()


PLATFORM = Platform()


def with_platform(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Bind the resource to an asset, so that nobody who merges definitions can forget it.

    The parameter ``resource_defs`` of ``multi_asset`` would do the same, but is beta in 1.13.
    """
    (bound,) = dg.with_resources([asset], {"platform": PLATFORM})
    return bound
