"""pandas, polars and floats: zones, NULL and decimals come over unharmed."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.research.api import Warehouse
from ib_platform.research.frames import to_pandas, with_floats
from ib_platform_tests.research.conftest import CL, NOON, WEDNESDAY
from ib_platform_tests.support import PATIENT

PRICE = pa.decimal128(18, 9)


@PATIENT
@given(st.lists(st.none() | st.integers(-(2**53), 2**53)))
def test_floats_are_the_nearest_ones(units: list[int | None]) -> None:
    prices = [None if unit is None else Decimal(unit).scaleb(-9) for unit in units]
    batch = pa.RecordBatch.from_pydict({"p": pa.array(prices, PRICE), "n": pa.array(units)})
    found = with_floats(batch)
    assert found["p"].to_pylist() == [None if p is None else float(p) for p in prices]
    assert found["n"] == batch["n"]


def test_prices_beyond_that_are_one_step_off_at_most() -> None:
    price = Decimal("999999999.999999999")
    batch = pa.RecordBatch.from_pydict({"p": pa.array([price, -price], PRICE)})
    assert with_floats(batch)["p"].to_pylist() == pytest.approx([1e9, -1e9], rel=2**-52)


def test_dtypes_do_not_depend_on_what_is_null() -> None:
    one = pa.table({"n": pa.array([1], pa.int32())})
    none = pa.table({"n": pa.array([None], pa.int32())})
    assert to_pandas(one)["n"].dtype == to_pandas(none)["n"].dtype == pandas.Int32Dtype()
    assert to_pandas(none)["n"][0] is pandas.NA


def test_pandas(warehouse_of_record: Warehouse) -> None:
    bars = warehouse_of_record.bars(CL, "1m", WEDNESDAY).pandas()
    assert str(bars["bar_start"].dtype) == "datetime64[s, UTC]"
    assert bars["bar_start"].tolist() == list(pandas.date_range(NOON, periods=3, freq="min"))
    assert bars["mid_open"][0] == Decimal("59.9")
    assert str(bars["touch_depth_close"].dtype) == "Int64"
    depth = warehouse_of_record.depth(CL, WEDNESDAY).pandas(floats=True)
    assert str(depth["received_at"].dtype) == "datetime64[ns, UTC]"
    assert str(depth["best_bid"].dtype) == "float64"
    assert depth["best_bid"][60] == 59.91
    assert depth["last_size"].isna().all()
    assert depth["sizes"][0][9] == -7


def test_polars(warehouse_of_record: Warehouse) -> None:
    bars = warehouse_of_record.bars(CL, "1m", WEDNESDAY).polars()
    assert bars.schema["bar_start"] == polars.Datetime("ms", "UTC")
    assert bars["bar_start"][0] == NOON
    assert bars.schema["mid_open"] == polars.Decimal(18, 9)
    assert bars["mid_open"][0] == Decimal("59.9")
    depth = warehouse_of_record.depth(CL, WEDNESDAY).polars(floats=True)
    assert depth.schema["received_at"] == polars.Datetime("ns", "UTC")
    assert depth.schema["sizes"] == polars.List(polars.Int32)
    assert depth["best_bid"][60] == 59.91
    assert depth["last_size"].null_count() == depth.height
    quality = warehouse_of_record.quality(CL, WEDNESDAY).polars()
    assert quality["verdict"].to_list() == ["degraded"]


def test_an_empty_answer_has_its_columns(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.bars(CL, "1m", WEDNESDAY, min_verdict="available")
    assert list(rows.pandas().columns) == rows.polars().columns == rows.schema.names
    assert str(rows.pandas()["bar_start"].dtype) == "datetime64[s, UTC]"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_installed(library: str) -> None:
    """In a process that cannot find it."""
    program = f"""
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {library!r}:
            raise ModuleNotFoundError(f"no {{name}}", name=name)
sys.meta_path.insert(0, Hidden())
import pyarrow
from ib_platform.errors import MissingDependencyError
from ib_platform.research import frames
try:
    frames.to_{library}(pyarrow.table({{"a": [1]}}))
except MissingDependencyError as error:
    print(error.exit_code, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"4 {library} is not installed: pip install 'ib-platform[research]', "
        "or read with .arrow()\n"
    )
