"""Arrow into what researchers use: floats, pandas, polars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_platform.errors import MissingDependencyError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa


def float_schema(schema: pa.Schema) -> pa.Schema:
    """``schema`` with float64 in the place of decimals."""
    import pyarrow as pa

    return pa.schema(
        field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field
        for field in schema
    )


def with_floats(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with decimals as float64, to the nearest one below 2**53 units of the scale (nine
    million in price units)."""
    import pyarrow as pa

    columns = [
        _to_float(column) if pa.types.is_decimal(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=float_schema(batch.schema))


def _to_float(decimals: pa.Array) -> pa.Array:
    """Arrow's own cast multiplies by 1e-9 and makes 59.910000000000004 of 59.91; a division of
    whole numbers is rounded once."""
    import pyarrow as pa
    import pyarrow.compute as compute

    unit = 10**decimals.type.scale
    scale = pa.scalar(unit, pa.decimal128(len(str(unit)), 0))
    units = compute.multiply(decimals, scale).cast(pa.int64())
    return compute.divide(units.cast(pa.float64(), safe=False), float(unit))


def to_pandas(table: pa.Table) -> pandas.DataFrame:
    """Integers keep NULL (Int32 and the like), instants their zone, decimals are ``Decimal``.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise _missing("pandas", error) from error
    import pyarrow as pa

    # By the type alone, not by whether a NULL happens to be there: dtypes must not change.
    integers = {
        pa.int32(): pandas.Int32Dtype(),
        pa.int64(): pandas.Int64Dtype(),
        pa.uint16(): pandas.UInt16Dtype(),
        pa.uint32(): pandas.UInt32Dtype(),
        pa.uint64(): pandas.UInt64Dtype(),
    }
    return table.to_pandas(types_mapper=integers.get)


def to_polars(table: pa.Table) -> polars.DataFrame:
    """Instants in milliseconds or nanoseconds with zone UTC, decimals as ``Decimal``.

    Raises:
        MissingDependencyError: polars is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError as error:
        raise _missing("polars", error) from error
    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    return frame


def _missing(library: str, error: ModuleNotFoundError) -> MissingDependencyError:
    if error.name != library:
        return MissingDependencyError(f"{library} cannot be loaded: {error}")
    return MissingDependencyError(
        f"{library} is not installed: pip install 'ib-platform[research]', or read with .arrow()"
    )
