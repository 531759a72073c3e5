"""Q13 to Q24: is the book one that can be, and is it an odd one? Pure."""

from __future__ import annotations

from ib_platform.config_quality import CheckThresholds
from ib_platform.warehouse.checks.figures import BookFigures, Measured
from ib_platform.warehouse.checks.finding import (
    NO_FRAMES,
    Finding,
    not_applicable,
    percent,
    share,
    unknown,
)
from ib_platform.warehouse.checks.of_record import bad_values_of

_NOT_OPEN = "no state while the market was open"


def _share_of_time(seconds: float, whole: float, what: str, **figures: float) -> Finding:
    value = share(seconds, whole)
    told = f"{what} for {seconds:.3f} s of {whole:.3f} s ({percent(value)})"
    return Finding(value, told, {"seconds": seconds, "of_seconds": whole, **figures})


def crossed_book(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q13"""
    book, seconds = measured.book, measured.facts.crossed_seconds
    if book is None:
        return unknown(NO_FRAMES)
    if book.two_sided_seconds <= 0 and seconds <= 0:
        return unknown("no time with a bid and an ask while the market was open")
    return _share_of_time(
        seconds,
        max(seconds, book.two_sided_seconds),
        "crossed",
        longest_seconds=measured.longest_crossed_seconds,
    )


def locked_book(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q14"""
    book = measured.book
    if book is None or book.open_seconds <= 0:
        return unknown(NO_FRAMES if book is None else _NOT_OPEN)
    if not book.locked_states:
        return not_applicable("a row of a ladder shows a bid or an ask, so it shows no locked book")
    return _share_of_time(
        book.locked_seconds, book.open_seconds, "locked", states=book.locked_states
    )


def one_sided_book(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q15"""
    book = measured.book
    if book is None or book.open_seconds <= 0:
        return unknown(NO_FRAMES if book is None else _NOT_OPEN)
    return _share_of_time(
        book.one_sided_seconds,
        book.open_seconds,
        "without a bid or an ask",
        states=book.one_sided_states,
    )


def bad_values(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q16"""
    frames = bad_values_of(measured.pod, measured.conid)
    if measured.book is None and not frames:
        return unknown(NO_FRAMES)
    nonpositive = 0
    if measured.book is not None and measured.forbids_nonpositive:
        nonpositive = measured.book.nonpositive_states
    told = f"{frames} frames with values that cannot be"
    if measured.forbids_nonpositive:
        told += f", {nonpositive} states with a price of 0 or less"
    figures = {"frames": frames, "nonpositive_states": nonpositive}
    return Finding(frames + nonpositive, told, figures)


def off_tick(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q17"""
    book = measured.book
    if book is None:
        return unknown(NO_FRAMES)
    if not measured.tick_known:
        return unknown("IBKR has not told the contract's tick")
    return Finding(
        book.off_tick_states, f"{book.off_tick_states} states with prices beside the tick"
    )


def ladder_shape(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q18"""
    book = measured.book
    if book is None or not book.shaped_states:
        return unknown(NO_FRAMES if book is None else f"{_NOT_OPEN} but the first of a window")
    value = book.shallow_states / book.shaped_states
    told = f"{book.shallow_states} of {book.shaped_states} states lack their depth"
    return Finding(value, told, {"states": book.shallow_states, "of_states": book.shaped_states})


def _count(measured: Measured, count: int | None, what: str, figures: dict[str, float]) -> Finding:
    book: BookFigures | None = measured.book
    if book is None or count is None or not book.states:
        return unknown(NO_FRAMES if book is None else _NOT_OPEN)
    return Finding(count, f"{count} {what}", {"of_states": book.states, **figures})


def wide_spread(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q19"""
    book = measured.book
    what = f"states wider than {thresholds.wide_spread:g} times the median spread"
    if book is None:
        return _count(measured, None, what, {})
    return _count(measured, book.wide_spreads, what, {"median_spread": book.median_spread})


def mid_outlier(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q20"""
    book = measured.book
    count = None if book is None else book.mid_outliers
    return _count(measured, count, "states with a mid off its neighbours", {})


def spike(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q21"""
    book = measured.book
    what = f"jumps over {thresholds.jump_ticks:g} ticks undone in {thresholds.jump_seconds:g} s"
    return _count(measured, None if book is None else book.spikes, what, {})


def stale_touch(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q22"""
    book = measured.book
    what = "long spells of an unchanged touch"
    if book is None:
        return _count(measured, None, what, {})
    return _count(
        measured, book.stale_touches, what, {"longest_seconds": book.longest_touch_seconds}
    )


def frozen_side(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q23"""
    book = measured.book
    count = None if book is None else book.frozen_sides
    return _count(measured, count, "spells in which one side stood still alone", {})


def size_outlier(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q24"""
    book = measured.book
    what = f"sizes at the touch over {thresholds.size_outlier:g} times their median"
    if book is None:
        return _count(measured, None, what, {})
    medians = {"median_bid_size": book.median_bid_size, "median_ask_size": book.median_ask_size}
    return _count(measured, book.size_outliers, what, medians)
