"""``Warehouse.continuous`` and the commands ``continuous`` and ``rolls``."""

from __future__ import annotations

import csv
import re
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, dump_config
from ib_platform.errors import NothingRecordedError, SelectionError
from ib_platform.research import selection
from ib_platform.research.api import Warehouse
from ib_platform.warehouse.connect import connect
from ib_platform_tests.research.conftest import CL, THURSDAY, TUESDAY, WEDNESDAY
from ib_platform_tests.research.test_commands import run
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.series import ES, resolve

PRODUCT = "CL.NYMEX"
AUGUST, SEPTEMBER = date(2026, 8, 3), date(2026, 9, 21)
BOTH_DATES = ("--from", "2026-11-17", "--to", "2026-11-18")


def test_unadjusted_columns_are_the_bars_of_each_dates_contract(
    warehouse_of_record: Warehouse,
) -> None:
    """The key CL.NYMEX.front was resolved to the same contracts: the same rows."""
    found = warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY, THURSDAY).arrow()
    bars = warehouse_of_record.bars(CL, "1m", TUESDAY, THURSDAY).arrow()
    assert found.select(bars.schema.names).to_pylist() == bars.to_pylist()
    assert set(found["product"].to_pylist()) == {PRODUCT}


def test_prices_before_the_roll_are_adjusted(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY, WEDNESDAY).arrow().to_pylist()
    by_contract = {row["contract"]: row["adjustment"] for row in rows}
    assert by_contract == {"CL.NYMEX.2026-11": Decimal("0.25"), "CL.NYMEX.2026-12": Decimal(0)}
    for row in rows:
        assert row["back_adjusted_mid_close"] == row["mid_close"] + row["adjustment"]


def test_filters_columns_and_sizes(warehouse_of_record: Warehouse) -> None:
    ask = warehouse_of_record.continuous
    available = ask(PRODUCT, "1h", TUESDAY, WEDNESDAY, min_verdict="available").arrow()
    assert set(available["trade_date"].to_pylist()) == {TUESDAY}
    everything = ask(PRODUCT, "1m", WEDNESDAY).arrow()
    kept = ask(PRODUCT, "1m", WEDNESDAY, drop_suspect=True, columns=["suspect", "gap"]).arrow()
    assert 0 < kept.num_rows < everything.num_rows
    assert set(kept["suspect"].to_pylist()) | set(kept["gap"].to_pylist()) == {False}
    days = ask(PRODUCT, "1d", TUESDAY, WEDNESDAY, columns=["contract", "back_adjusted_mid_open"])
    assert days.arrow()["contract"].to_pylist() == ["CL.NYMEX.2026-11", "CL.NYMEX.2026-12"]
    assert days.polars().columns == ["contract", "back_adjusted_mid_open"]


def test_a_long_span_is_read_in_pieces(
    warehouse_of_record: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY, THURSDAY)
    monkeypatch.setattr(selection, "PIECE_ROWS", 1)
    pieces = warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY, THURSDAY)
    assert len(pieces.statements) == 3
    assert pieces.arrow().equals(whole.arrow())


@pytest.mark.parametrize(
    ("product", "words"),
    [
        ("cl.nymex", "no continuous series 'cl.nymex'. Did you mean CL.NYMEX?"),
        ("CL", "Did you mean CL.NYMEX? Products with one: CL.NYMEX"),
        ("ES.CME", "the rolls of ES.CME are not planned yet: `ib-platform rolls --write` does"),
        (CL, "no continuous series 'CL.NYMEX.front'. Did you mean CL.NYMEX?"),
        ("ZN.CBOT", "no continuous series 'ZN.CBOT'. Products with one: CL.NYMEX"),
    ],
)
def test_what_has_no_series_is_refused_with_what_has(
    warehouse_of_record: Warehouse, product: str, words: str
) -> None:
    with pytest.raises(SelectionError) as refusal:
        warehouse_of_record.continuous(product, "1m", TUESDAY)
    assert words in str(refusal.value)


def test_a_span_or_column_without_anything_is_refused(warehouse_of_record: Warehouse) -> None:
    with pytest.raises(NothingRecordedError, match="CL.NYMEX has no bars from .* on 3 trade dates"):
        warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY - timedelta(days=7))
    with pytest.raises(SelectionError, match="continuous_bars has product, contract, trade_date"):
        warehouse_of_record.continuous(PRODUCT, "1m", TUESDAY, columns=["adjusted"])


def test_the_command_prints_a_table_and_csv(config_file: Path) -> None:
    table = run(config_file, "continuous", PRODUCT, "--size", "1d", *BOTH_DATES)
    assert table.exit_code == 0, table.output
    assert re.findall(r"CL\.NYMEX\.\S+", table.stdout) == ["CL.NYMEX.2026-11", "CL.NYMEX.2026-12"]
    assert "back_adjusted_mid_close" in table.stdout
    lines = run(config_file, "continuous", PRODUCT, *BOTH_DATES, "--format", "csv").stdout
    rows = list(csv.DictReader(StringIO(lines)))
    assert {Decimal(row["adjustment"]) for row in rows} == {Decimal("0.25"), Decimal(0)}
    refused = run(config_file, "continuous", "CL", *BOTH_DATES)
    assert (refused.exit_code, "Did you mean CL.NYMEX?" in refused.stderr) == (2, True)


def test_the_command_rolls_shows_and_writes(warehouse: ClickHouse, tmp_path: Path) -> None:
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(make_config(tmp_path, clickhouse=warehouse.model_dump())))
    with closing(connect(warehouse)) as client:
        for word, conid, day in (
            ("front", 1, AUGUST),
            ("next", 2, AUGUST),
            ("front", 2, SEPTEMBER),
        ):
            resolve(client, word, conid, day, expiry=date(2026, 8 + conid, 18))
        shown = run(file, "rolls")
        assert shown.exit_code == 0, shown.output
        assert "ES.CME.2026-10" in shown.stdout
        assert "2 rows differ from the table rolls; --write appends them" in shown.stdout
        count = "SELECT count() FROM rolls WHERE product = {product:String}"
        assert client.query(count, {"product": ES}).result_rows == [(0,)]
        assert "2 rows written" in run(file, "rolls", "--write").stdout
        assert client.query(count, {"product": ES}).result_rows == [(2,)]
        assert "unchanged, nothing written" in run(file, "rolls", "--write").stdout
        assert "the table rolls says the same" in run(file, "rolls").stdout
        assert client.query(count, {"product": ES}).result_rows == [(2,)]


def test_the_command_rolls_says_what_it_leaves_out(config_file: Path) -> None:
    said = run(config_file, "rolls")
    assert "left out, its last trading day is not known: ES.CME.front (conid 9)" in said.stderr
    assert "the table rolls says the same" in said.stdout
