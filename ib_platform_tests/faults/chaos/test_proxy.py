"""The proxy fails as it is told, and what it has passed on is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.warehouse.connect import connect, error_code, is_transient
from ib_platform_tests.faults.chaos.proxy import ClickHouseProxy
from ib_platform_tests.faults.chaos.schedule import Kind
from ib_platform_tests.support import wait_until

INSERT = "INSERT INTO numbers VALUES (1)"


@pytest.fixture
def proxy(warehouse: ClickHouse) -> Iterator[ClickHouseProxy]:
    client = connect(warehouse)
    client.command("CREATE TABLE numbers (n UInt64) ENGINE = MergeTree ORDER BY n")
    client.close()
    with ClickHouseProxy(warehouse.port) as proxy:
        yield proxy


def through(proxy: ClickHouseProxy, warehouse: ClickHouse, read_timeout: int = 60) -> None:
    settings = warehouse.model_copy(update={"port": proxy.port})
    client = connect(settings, read_timeout=read_timeout)
    client.command(INSERT)
    client.close()


def stored(warehouse: ClickHouse) -> int:
    client = connect(warehouse)
    count = int(client.query("SELECT count() FROM numbers").result_rows[0][0])
    client.close()
    return count


def test_it_passes_on_and_after_each_fault_again(
    proxy: ClickHouseProxy, warehouse: ClickHouse
) -> None:
    through(proxy, warehouse)
    for kind in (Kind.CLICKHOUSE_500, Kind.CLICKHOUSE_REFUSES, Kind.CLICKHOUSE_OUT_OF_MEMORY):
        proxy.fail(kind)
        with pytest.raises(WarehouseError):
            through(proxy, warehouse)
        proxy.heal()
        through(proxy, warehouse)
    assert stored(warehouse) == 4
    assert proxy.met[Kind.CLICKHOUSE_500] >= 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.CLICKHOUSE_OUT_OF_MEMORY, 241),
        (Kind.CLICKHOUSE_READ_ONLY, 164),
        (Kind.CLICKHOUSE_READ_ONLY, 242),
    ],
)
def test_an_exception_has_clickhouses_code(
    proxy: ClickHouseProxy, warehouse: ClickHouse, kind: Kind, code: int
) -> None:
    proxy.fail(kind, code)
    with pytest.raises(WarehouseError) as refused:
        through(proxy, warehouse)
    assert error_code(refused.value) == code
    assert is_transient(refused.value) == (code != 164)


@pytest.mark.parametrize("kind", [Kind.CLICKHOUSE_TIMES_OUT, Kind.CLICKHOUSE_ANSWER_DROPPED])
def test_what_got_no_answer_has_been_done(
    proxy: ClickHouseProxy, warehouse: ClickHouse, kind: Kind
) -> None:
    settings = warehouse.model_copy(update={"port": proxy.port})
    client = connect(settings, read_timeout=2)
    proxy.fail(kind)
    with pytest.raises(Exception, match=r"(?i)timed out|timeout|aborted|closed|reset"):
        client.command(INSERT)
    client.close()
    wait_until(lambda: stored(warehouse) >= 1, "the row that nobody was told of")
