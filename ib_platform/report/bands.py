"""Stretches of time as bands on a plot: never too thin to be seen, never more than the plot has
room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from ib_platform.report.day import Stretch
from ib_platform.warehouse.spans import SECOND, Span, to_ns, union

_THINNEST = 0.0009
"""Of the width of the plot: what is shorter would not be seen."""
_DAY = 86_400 * SECOND


def at(instant: datetime) -> float:
    """Where ``instant`` lies on an axis of time: matplotlib's days since 1970."""
    return to_ns(instant) / _DAY


def bands(
    stretches: Iterable[Stretch], limits: tuple[float, float]
) -> dict[str, list[tuple[float, float]]]:
    """(begin, end) by what the stretches are, ascending and disjoint, inside ``limits``.

    What would overlap after it was widened is one band: thousands of short windows need not be
    drawn one by one, and see-through colours do not add up.
    """
    left, right = (round(limit * _DAY) for limit in limits)
    thinnest = round((right - left) * _THINNEST)
    found: dict[str, list[Span]] = {}
    for stretch in stretches:
        begin, end = max(to_ns(stretch.begin), left), min(to_ns(stretch.end), right)
        if begin <= right and end >= left:
            wide_enough = Span(begin, max(end, begin + thinnest))
            found.setdefault(stretch.what, []).append(wide_enough)
    return {
        what: [(begin / _DAY, end / _DAY) for begin, end in union(spans)]
        for what, spans in sorted(found.items())
    }


def draw_bands(
    axis: Axes,
    stretches: Iterable[Stretch],
    colour_of: Mapping[str, str],
    *,
    low: float = 0.0,
    high: float = 1.0,
    hatched: bool = False,
    alpha: float = 1.0,
) -> None:
    """Draw ``stretches`` from ``low`` to ``high``, shares of the height of ``axis``, whose limits
    of time are set. The limits of its values stay as they are."""
    for what, spans in bands(stretches, axis.get_xlim()).items():
        colour = colour_of[what]
        look: dict[str, Any] = (
            {"facecolors": "none", "edgecolors": colour, "hatch": "////"}
            if hatched
            else {"facecolors": colour, "edgecolors": "none"}
        )
        corners = [[(b, low), (b, high), (e, high), (e, low)] for b, e in spans]
        drawn = PolyCollection(
            corners, linewidths=0, alpha=alpha, transform=axis.get_xaxis_transform(), **look
        )
        axis.add_collection(drawn, autolim=False)
