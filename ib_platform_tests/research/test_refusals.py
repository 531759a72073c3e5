"""A wrong contract, size, column, verdict or span is answered with what exists."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy
import pytest

from ib_platform import Warehouse
from ib_platform.config import ClickHouse
from ib_platform.errors import ConfigurationError, SelectionError, WarehouseError
from ib_platform.warehouse.connect import connect
from ib_platform_tests.research.conftest import (
    CL,
    ES,
    NOON,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
)

SATURDAY, EARLIER = date(2026, 11, 21), date(2026, 11, 3)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (
            lambda w: w.bars("CL.NYMEX.frnt", "1m", TUESDAY),
            "no contract 'CL.NYMEX.frnt' in the warehouse. Did you mean CL.NYMEX.front? "
            "Known: CL.NYMEX.front (conid 1, 2), ES.CME.front (conid 9), conid.77",
        ),
        (lambda w: w.depth("es.cme.front", TUESDAY), "Did you mean ES.CME.front?"),
        (lambda w: w.quotes(4711, TUESDAY), "no contract '4711' in the warehouse. Known: CL"),
        (lambda w: w.gaps("conid.4711", TUESDAY), "no contract 'conid.4711'"),
        (lambda w: w.quality("", TUESDAY), "no contract ''"),
        (lambda w: w.book_at("CL", NOON), "no contract 'CL'"),
        (
            lambda w: w.bars(CL, "2m", TUESDAY),
            "no bar size '2m'; built are 1s, ",
        ),
        (
            lambda w: w.bars(CL, "1m", TUESDAY, columns=["close", "mid_open", "high"]),
            "no column 'close', 'high'; bars has trade_date, conid, bar_size, bar_start",
        ),
        (lambda w: w.depth(CL, TUESDAY, columns=[]), "no column is named; depth has trade_date"),
        (
            lambda w: w.bars(CL, "1m", TUESDAY, min_verdict="good"),
            "no verdict 'good'; known, best first: available, degraded, pending, missing",
        ),
        (
            lambda w: w.bars(CL, "1m", NOON.replace(tzinfo=None), NOON),
            "2026-11-18T18:00:00 has no time zone",
        ),
        (lambda w: w.bars(CL, "1m", "2026-11-18T18:00:00", NOON), "has no time zone"),
        (lambda w: w.book_at(CL, NOON.replace(tzinfo=None)), "has no time zone"),
        (lambda w: w.bars(CL, "1m", NOON), "until when? Name an end"),
        (lambda w: w.bars(CL, "1m", 20261118), "20261118 is a int: name a trade date"),
        (lambda w: w.book_at(CL, numpy.datetime64("2026-11-18")), "is a datetime64: name a"),
        (lambda w: w.bars(CL, "1m", date.min), "0001-01-01 is not between the years 1970 and"),
        (lambda w: w.bars(CL, "1m", NOON, datetime.max.replace(tzinfo=UTC)), "1970 and 2100"),
        (lambda w: w.bars(CL, "1m", NOON, "9999-12-31"), "9999-12-31 is not between"),
        (lambda w: w.bars(CL, "1m", NOON, "9999-12-31T00:00:00Z"), "is not between the years"),
        (lambda w: w.bars(CL, "1m", NOON, NOON), "the span is empty"),
        (lambda w: w.bars(CL, "1m", WEDNESDAY, TUESDAY), "2026-11-18 is not before 2026-11-17"),
        (lambda w: w.bars(CL, "1m", SATURDAY), "2026-11-21 is a Saturday"),
        (lambda w: w.bars(CL, "1m", "soon"), "until when"),
        (lambda w: w.bars(CL, "1m", "soon", NOON), "'soon' is neither a trade date like"),
        (
            lambda w: w.bars(CL, "1m", EARLIER),
            "CL.NYMEX.front has no bars from 2026-11-02T22:30:00Z to 2026-11-03T22:30:00Z; "
            "it has some on 3 trade dates, 2026-11-17 to 2026-11-19",
        ),
        (
            lambda w: w.depth(CL, EARLIER),
            "has no rows in depth from 2026-11-02T22:30:00Z to 2026-11-03T22:30:00Z; "
            "it has some on 4 trade dates, 2026-11-16 to 2026-11-19",
        ),
        (lambda w: w.quotes(ES, EARLIER), "nothing of it is there on any other trade date"),
        (
            lambda w: w.gaps(CL, EARLIER),
            "no trade date from 2026-11-02T22:30:00Z to 2026-11-03T22:30:00Z was built; "
            "built are 3 trade dates, 2026-11-17 to 2026-11-19",
        ),
        (lambda w: w.quality(None, EARLIER), "was built; built are 3 trade dates"),
    ],
)
def test_what_does_not_exist(
    warehouse_of_record: Warehouse, ask: Callable[[Warehouse], Any], answer: str
) -> None:
    with pytest.raises(SelectionError) as refused:
        ask(warehouse_of_record)
    assert answer in str(refused.value)
    assert refused.value.exit_code == 2


def test_nothing_is_the_truth_where_a_report_says_so(warehouse_of_record: Warehouse) -> None:
    for rows in (
        warehouse_of_record.bars(ES, "1m", TUESDAY),
        warehouse_of_record.depth(ES, TUESDAY),
        warehouse_of_record.depth(ES, THURSDAY),
    ):
        assert rows.arrow().num_rows == rows.at_most == 0
    assert warehouse_of_record.quality(ES, TUESDAY).arrow()["verdict"].to_pylist() == ["missing"]


def test_an_empty_warehouse(warehouse: ClickHouse) -> None:
    with Warehouse(warehouse) as empty:
        assert empty.contracts() == []
        with pytest.raises(SelectionError, match="nothing was recorded yet"):
            empty.bars(CL, "1m", TUESDAY)
        with pytest.raises(SelectionError, match="none was built yet"):
            empty.gaps(None, TUESDAY)


def test_a_size_that_was_not_built_then(warehouse: ClickHouse) -> None:
    """Dates that an older version built lack the sizes of a newer one."""
    with closing(connect(warehouse)) as client:
        client.insert(
            "contracts", [(CL, 1, "CL", "NYMEX", "always_open", 0)],
            column_names=["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"],
        )  # fmt: skip
        for minute in range(3):
            start = datetime(2026, 11, 18, 18, minute, tzinfo=UTC)
            client.insert(
                "bars", [(WEDNESDAY, 1, "1m", start)],
                column_names=["trade_date", "conid", "bar_size", "bar_start"],
            )  # fmt: skip
    with Warehouse(warehouse) as opened:
        assert opened.bars(CL, "1m", WEDNESDAY).at_most == 3
        with pytest.raises(SelectionError, match=r"no 1h bars .*; bars there: 3 of 1m"):
            opened.bars(CL, "1h", WEDNESDAY)
        unreported = opened.bars(CL, "1m", WEDNESDAY, min_verdict="missing")
        assert unreported.arrow().num_rows == 0, "a date without a report has no verdict"


def test_contracts_that_exist(warehouse_of_record: Warehouse) -> None:
    assert warehouse_of_record.contracts() == [CL, ES]


def test_a_server_that_is_away(tmp_path: Path, free_port_number: int) -> None:
    with pytest.raises(WarehouseError, match="no answer"):
        Warehouse(ClickHouse(port=free_port_number, password_file=None))


def test_a_configuration_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read"):
        Warehouse.open(tmp_path / "absent.yaml")


def test_a_configuration_names_the_warehouse(config_file: Path) -> None:
    with Warehouse.open(str(config_file)) as opened:
        assert opened.contracts() == [CL, ES]


def test_a_server_that_refuses_later(warehouse: ClickHouse) -> None:
    with Warehouse(warehouse) as opened:
        with closing(connect(warehouse)) as client:
            client.command("DROP TABLE contracts SYNC")
        with pytest.raises(WarehouseError, match="read the contracts"):
            opened.contracts()


@pytest.fixture
def free_port_number() -> int:
    from ib_platform_tests.ports import free_port

    return free_port()
