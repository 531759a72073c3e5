"""Batches that the real engine refuses for their content: a constraint makes it do so."""

from __future__ import annotations

import random

from ib_platform.config import ClickHouse
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import Client
from ib_platform_tests.streamer.spools import loader_of

POISON = b"a payload that a constraint forbids"


def forbid(client: Client, table: str, condition: str) -> None:
    client.command(f"ALTER TABLE {table} ADD CONSTRAINT forbidden CHECK {condition}")


def allow(client: Client, table: str) -> None:
    client.command(f"ALTER TABLE {table} DROP CONSTRAINT forbidden")


def no_pause(seconds: float) -> None:
    return


def drained(spool: Spool, settings: ClickHouse) -> Loader:
    loader = loader_of(spool, settings, rng=random.Random(1), pause=no_pause)
    assert loader.drain()
    return loader
