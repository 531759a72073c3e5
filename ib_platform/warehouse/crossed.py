"""Crossed books: where they are in doubt, and for how long. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ib_platform.warehouse.spans import SECOND, Span


def crossed_while_open(
    crossed: Sequence[dict[str, Any]], markets: Mapping[int, Sequence[Span]]
) -> list[dict[str, Any]]:
    """The rows of ``crossed.sql``, cut to where the market of their contract is open: orders that
    gather in the pre-open cross each other, and rightly so (``quality_and_bars.md`` 4.3).
    ``markets``: by conid."""
    rows = []
    for row in crossed:
        for begin, end in markets.get(row["conid"], ()):
            first, last = max(begin, row["begin"]), min(end, row["end"])
            # A state that lasts for no time is crossed too.
            if first < last or begin <= row["begin"] == row["end"] < end:
                rows.append({**row, "begin": first, "end": last})
    return rows


def seconds_by_conid(rows: Sequence[dict[str, Any]]) -> dict[int, float]:
    """How long the books were crossed."""
    lengths: Counter[int] = Counter()
    for row in rows:
        lengths[row["conid"]] += row["end"] - row["begin"]
    return {conid: length / SECOND for conid, length in lengths.items()}
