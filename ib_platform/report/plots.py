"""The plots of one contract as SVG, drawn by matplotlib: the same values, the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, HourLocator, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.marketdata.sessions import CHICAGO
from ib_platform.report import colours
from ib_platform.report.day import Arrivals, ContractPage, DatePage, Minute, Stretch

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, and readable by machines
    "svg.hashsalt": "ib_platform",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": colours.FAINT,
    "axes.labelcolor": colours.INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": colours.GRID,
    "grid.linewidth": 0.6,
    "xtick.color": colours.FAINT,
    "ytick.color": colours.FAINT,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_THINNEST = 0.0009
"""Of the width of the plot: what is shorter would not be seen."""


def day_plot(contract: ContractPage, day: DatePage) -> str:
    """Coverage, last price, spread and depth over the same hours of the trade date."""
    with _style():
        return _svg(_day_figure(contract, day))


def day_picture(contract: ContractPage, day: DatePage) -> bytes:
    """The same as a small PNG, for where SVG is not shown."""
    out = io.BytesIO()
    with _style():
        _day_figure(contract, day).savefig(out, format="png", dpi=72, metadata={"Software": None})
    return out.getvalue()


def _day_figure(contract: ContractPage, day: DatePage) -> Figure:
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=[1.15, 2.2, 1.2, 1.5])
    _set_hours(axes, contract, day)
    _draw_coverage(axes[0], contract)
    _draw_price(axes[1], contract)
    _draw_spread(axes[2], contract)
    _draw_depth(axes[3], contract)
    return figure


def arrivals_plot(arrivals: Arrivals) -> str:
    """How many frames came how long after the one before."""
    with _style():
        figure = Figure(figsize=(11, 2.3), layout="constrained")
        axis = figure.subplots()
        buckets = sorted(arrivals.counts)
        axis.bar(
            [10 ** (n / 5) for n in buckets],
            [arrivals.counts[n] for n in buckets],
            width=[10 ** ((n + 1) / 5) - 10 ** (n / 5) for n in buckets],
            align="edge",
            color=colours.BID,
            edgecolor="white",
            linewidth=0.5,
        )
        for value, name, side in (
            (arrivals.median, "median ", "right"),
            (arrivals.p99, " 99 %", "left"),
        ):
            at = max(1.0, value * 1000)
            axis.axvline(at, color=colours.INK, linewidth=1, linestyle=":")
            axis.annotate(
                name, (at, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
                textcoords="offset points", ha=side, color=colours.INK, fontsize=8,
            )  # fmt: skip
        axis.set(xscale="log", yscale="log", ylabel="frames")
        axis.xaxis.set_major_formatter(FuncFormatter(_milliseconds))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("since the frame before")
        return _svg(figure)


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE):
        yield


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _set_hours(axes: Sequence[Axes], contract: ContractPage, day: DatePage) -> None:
    """From the first to the last hour in which something could be recorded, or was."""
    live = [p for p in contract.phases if MarketPhase(p.what).moves]
    seen = [(minute.begin, minute.begin) for minute in contract.minutes]
    spans = [*((p.begin, p.end) for p in live), *seen, *((g.begin, g.end) for g in contract.gaps)]
    begin = max(day.begin, min((b for b, _ in spans), default=day.begin))
    end = min(day.end, max((e for _, e in spans), default=day.end))
    if begin >= end:
        begin, end = day.begin, day.end
    for axis in axes:
        axis.set_xlim(_at(begin), _at(end))
        _shade(axis, contract.phases, colours.OF_PHASE, alpha=0.55)
    hours = max(1, round((end - begin).total_seconds() / 3600 / 12))
    locator = HourLocator(interval=hours, tz=CHICAGO)
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=CHICAGO))
    axes[-1].set_xlabel("Chicago")


def _draw_coverage(axis: Axes, contract: ContractPage) -> None:
    expected = [p for p in contract.phases if MarketPhase(p.what) is MarketPhase.OPEN]
    lanes = ((1, contract.gaps), (0, contract.suspects))
    axis.broken_barh([_bar(p, axis) for p in expected], (1.1, 0.8), color=colours.RECORDED)
    for lane, stretches in lanes:
        ordered = sorted(stretches, key=lambda s: s.what)
        for what, of_cause in groupby(ordered, key=lambda s: s.what):
            bars = [_bar(stretch, axis) for stretch in of_cause]
            axis.broken_barh(bars, (lane + 0.1, 0.8), color=colours.OF_CAUSE[what])
    axis.set_yticks([0.5, 1.5], ["suspect", "recorded"])
    axis.set_ylim(0, 2)
    axis.grid(visible=False)
    axis.tick_params(axis="y", length=0)
    causes = sorted({s.what for s in (*contract.gaps, *contract.suspects)})
    patches = [Patch(color=colours.RECORDED, label="recorded")]
    patches += [Patch(color=colours.OF_CAUSE[cause], label=cause) for cause in causes]
    axis.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2
    )


def _draw_price(axis: Axes, contract: ContractPage) -> None:
    _shade_doubts(axis, contract)
    _line(axis, contract, lambda minute: minute.mid, colours.PRICE, "mid", linewidth=0.9)
    last = [(m.begin, m.last) for m in contract.minutes if m.last is not None]
    axis.plot(
        [_at(at) for at, _ in last], [price for _, price in last], ".",
        color=colours.LAST, markersize=2.5, label="last trade",
    )  # fmt: skip
    axis.ticklabel_format(axis="y", style="plain", useOffset=False)
    axis.set_ylabel("price")
    _legend(axis)


def _draw_spread(axis: Axes, contract: ContractPage) -> None:
    _shade_doubts(axis, contract)
    _line(axis, contract, lambda minute: minute.spread, colours.INK, "spread", linewidth=0.9)
    axis.set_ylabel("spread, ticks")
    axis.set_ylim(bottom=0)


def _draw_depth(axis: Axes, contract: ContractPage) -> None:
    _shade_doubts(axis, contract)
    _line(axis, contract, lambda minute: minute.bid_depth, colours.BID, "bid", linewidth=0.9)
    _line(axis, contract, lambda minute: minute.ask_depth, colours.ASK, "ask", linewidth=0.9)
    axis.set_ylabel("depth, 5 prices")
    axis.set_ylim(bottom=0)
    _legend(axis)


def _legend(axis: Axes) -> None:
    axis.legend(loc="upper left", ncols=2, borderaxespad=0.1)


def _line(
    axis: Axes,
    contract: ContractPage,
    value: Callable[[Minute], float | None],
    colour: str,
    label: str,
    **style: Any,
) -> None:
    """Broken where a gap begins: what nobody saw is not drawn through."""
    points = [(_at(minute.begin), value(minute)) for minute in contract.minutes]
    points += [(_at(gap.begin) + 1e-9, None) for gap in contract.gaps]
    points.sort(key=lambda point: point[0])
    ys = [float("nan") if y is None else y for _, y in points]
    axis.plot([x for x, _ in points], ys, color=colour, label=label, **style)


def _shade_doubts(axis: Axes, contract: ContractPage) -> None:
    _shade(axis, contract.suspects, colours.OF_CAUSE, alpha=0.5)
    for gap in contract.gaps:
        begin, width = _bar(gap, axis)
        axis.axvspan(begin, begin + width, facecolor="none", edgecolor=colours.OF_CAUSE[gap.what],
                     hatch="////", linewidth=0, alpha=0.6)  # fmt: skip


def _shade(axis: Axes, stretches: Sequence[Stretch], colour: Any, alpha: float) -> None:
    for stretch in stretches:
        begin, width = _bar(stretch, axis)
        axis.axvspan(begin, begin + width, color=colour[stretch.what], alpha=alpha, linewidth=0)


def _bar(stretch: Stretch, axis: Axes) -> tuple[float, float]:
    begin, end = _at(stretch.begin), _at(stretch.end)
    left, right = axis.get_xlim()
    begin, end = max(begin, left), min(end, right)
    return begin, max(end - begin, (right - left) * _THINNEST)


def _at(instant: datetime) -> float:
    return float(date2num(instant))


def _milliseconds(value: float, _: int) -> str:
    return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"
