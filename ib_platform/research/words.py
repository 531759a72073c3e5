"""Arrow columns as text for people and for CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with lists and maps as JSON text: CSV has no columns within columns."""
    import pyarrow as pa

    columns = [_json(column) if _is_nested(column) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def cells(batch: pa.RecordBatch) -> list[list[str]]:
    """Rows of a table for people: NULL is a dash, no zeros behind what is exact."""
    columns = [[_cell(value) for value in _texts(column)] for column in flat(batch).columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _texts(column: pa.Array) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as compute

    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_decimal(kind)):
        return column.to_pylist()  # type: ignore[no-any-return]
    texts = compute.cast(column, pa.string())
    # Arrow writes zero of nine digits as 0E-9.
    for pattern, instead in (
        (r"^0E-\d+$", "0"),
        (r"\.0+(Z?)$", r"\1"),
        (r"(\.\d*[1-9])0+(Z?)$", r"\1\2"),
    ):
        texts = compute.replace_substring_regex(texts, pattern, instead)
    return texts.to_pylist()  # type: ignore[no-any-return]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _is_nested(column: pa.Array) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(column.type) or pa.types.is_map(column.type))


def _json(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    is_map = pa.types.is_map(column.type)
    return pa.array(
        [
            None if value is None else json.dumps(dict(value) if is_map else value)
            for value in column.to_pylist()
        ],
        pa.string(),
    )
