"""Q25 to Q33: does the record agree with itself and with what surrounds it? Pure."""

from __future__ import annotations

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict, Verdict
from ib_platform.warehouse.checks.figures import Measured
from ib_platform.warehouse.checks.finding import (
    NO_FRAMES,
    Finding,
    not_applicable,
    percent,
    share,
    unknown,
)

LEAST_DATES = 5
"""Trade dates before that a rate is compared with, at least."""
_OF_VERDICTS = {
    Verdict.AVAILABLE: CheckVerdict.PASS,
    Verdict.DEGRADED: CheckVerdict.WARN,
    Verdict.MISSING: CheckVerdict.FAIL,
    Verdict.PENDING: CheckVerdict.UNKNOWN,
}


def nulls(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q25"""
    quotes = measured.quotes
    empty = measured.null_cells + (0 if quotes is None else quotes.without_time)
    cells = measured.cells + (0 if quotes is None else quotes.quotes)
    if not cells:
        return unknown(NO_FRAMES)
    told = f"{empty} of {cells} required values are unknown"
    return Finding(empty / cells, told, {"unknown": empty, "values": cells})


def frame_rate(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q26"""
    if measured.facts.date_is_open:
        return unknown("the trade date is still open: its rate is not known yet")
    rates = measured.rates
    if rates is None:
        return unknown(NO_FRAMES)
    if rates.median is None or rates.dates < LEAST_DATES:
        return unknown(
            f"{rates.rate:.1f} frames a minute; {rates.dates} trade dates before to compare with, "
            f"{LEAST_DATES} are needed",
            rate=rates.rate,
        )
    value = rates.rate / rates.median
    return Finding(
        value,
        f"{rates.rate:.1f} frames a minute, {rates.median:.1f} in the median of {rates.dates} "
        "trade dates before",
        {"rate": rates.rate, "median": rates.median, "dates": rates.dates},
    )


def schema_drift(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q27"""
    pod = measured.pod
    if pod is None:
        return unknown("no streamer run has frames on the trade date")
    # Keys are looked at in a sample: each counts as one frame at least.
    value = pod.drifted + len(pod.unknown_keys)
    what = [*pod.drifts, *(f"key {key}" for key in pod.unknown_keys[:5])]
    told = f"{pod.drifted} frames of another shape" if value else "every frame has a known shape"
    if what:
        told += f" ({', '.join(what)})"
    return Finding(value, told, {"frames": pod.drifted, "unknown_keys": len(pod.unknown_keys)})


def overlap(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q28"""
    if measured.book is None:
        return unknown(NO_FRAMES)
    if measured.overlap is None or not measured.overlap[0]:
        return not_applicable("no two pods streamed the contract at the same time")
    seconds, agreeing = measured.overlap
    told = f"two pods agree in {agreeing} of {seconds} seconds"
    return Finding(agreeing / seconds, told, {"seconds": seconds, "agreeing": agreeing})


def depth_against_quote(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q29"""
    quotes = measured.quotes
    if quotes is None or not quotes.compared_quotes:
        return not_applicable("no real-time quote with a bid and an ask beside a ladder")
    value = quotes.agreeing_quotes / quotes.compared_quotes
    return Finding(
        value,
        f"the ladder shows {quotes.agreeing_quotes} of {quotes.compared_quotes} quotes "
        f"({percent(value)})",
        {"quotes": quotes.compared_quotes, "agreeing": quotes.agreeing_quotes},
    )


def contract(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q30"""
    if measured.conid is None:
        return unknown("the contract key was never resolved to a conid")
    if measured.days_left is None:
        return unknown(f"the last trading day of conid {measured.conid} is not known")
    left, due = measured.days_left, measured.roll_due_days
    told = f"conid {measured.conid} trades for {left} more days"
    if left < 0:
        told = f"conid {measured.conid} expired {-left} days before the trade date"
    elif due is not None and left < due:
        told += f"; its roll was due {due} days before the last one"
        return Finding(left, told, {"roll_due_days": due}, CheckVerdict.WARN)
    return Finding(left, told)


def bars_reconcile(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q31"""
    bars = measured.bars
    if bars is None:
        return unknown("no bar was built" if measured.book is not None else NO_FRAMES)
    recorded = measured.recorded_states
    sizes = sum(states != recorded for states in bars.states_by_size)
    return Finding(
        bars.wrong + sizes,
        f"{bars.bars} bars: {bars.wrong} cannot be, {sizes} sizes count other than the "
        f"{recorded} recorded states",
        {"wrong": bars.wrong, "sizes": sizes, "bars": bars.bars},
    )


def verdict(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q32"""
    word, reasons = measured.spoken
    told = f"{word.value}: {'; '.join(reasons)}" if reasons else word.value
    return Finding(None, told, {}, _OF_VERDICTS[word])


def suspect_windows(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q33"""
    if measured.recorded_seconds <= 0:
        return unknown(NO_FRAMES if measured.book is None else "no time was recorded")
    named = ", ".join(
        f"{length:.3f} s of {cause}" for cause, length in sorted(measured.suspect_by_cause.items())
    )
    return Finding(
        share(measured.suspect_seconds, measured.recorded_seconds),
        f"{measured.suspect_windows} suspect windows: {named}" if named else "no suspect window",
        {"seconds": measured.suspect_seconds, "windows": measured.suspect_windows},
    )
