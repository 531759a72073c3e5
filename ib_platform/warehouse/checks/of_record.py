"""Q01 to Q12: is the record whole, in order and in time? Pure."""

from __future__ import annotations

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict
from ib_platform.warehouse.checks.figures import Measured, PodFigures
from ib_platform.warehouse.checks.finding import (
    NO_FRAMES,
    Finding,
    not_applicable,
    percent,
    share,
    unknown,
)

_NOTHING_EXPECTED = "nothing was expected: the market was closed, or no data are known yet"
_NO_RUN = "no streamer run has frames on the trade date"
_NO_QUOTE = "no quote was recorded, and a ladder has no time of its own"
_CLOCK = "the source is {}: its clock says nothing about IBKR's"


def coverage(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q01"""
    facts = measured.facts
    if not facts.assigned:
        return unknown("in no assignment: how much is missing is unknown")
    differs = facts.calendar_difference
    if facts.coverage is None:
        if differs:
            return Finding(None, f"{_NOTHING_EXPECTED}, but {differs}", {}, CheckVerdict.WARN)
        return not_applicable(_NOTHING_EXPECTED)
    value = share(facts.covered_seconds, facts.expected_seconds)
    disputed = bool(differs) and value >= thresholds.coverage_warn
    return Finding(
        value,
        f"{facts.covered_seconds:.3f} s of {facts.expected_seconds:.3f} s expected were recorded "
        f"({percent(value)})" + (f"; what is expected is disputed: {differs}" if differs else ""),
        {"covered_seconds": facts.covered_seconds, "expected_seconds": facts.expected_seconds},
        CheckVerdict.WARN if disputed else None,
    )


def gaps(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q02"""
    facts = measured.facts
    if facts.expected_seconds <= 0:
        return not_applicable(_NOTHING_EXPECTED)
    lengths = {
        cause: length
        for cause, length in sorted(facts.gap_seconds_by_cause.items())
        if cause not in measured.expected_causes
    }
    missing = sum(lengths.values())
    named = ", ".join(f"{length:.3f} s of {cause}" for cause, length in lengths.items())
    return Finding(
        share(missing, facts.expected_seconds),
        f"gaps: {named}" if named else "no gap that somebody has to explain",
        {"gap_seconds": missing, "gaps": measured.gaps},
    )


def unexplained_gaps(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q03"""
    if measured.facts.expected_seconds <= 0:
        return not_applicable(_NOTHING_EXPECTED)
    value = measured.facts.gap_seconds_by_cause.get("unknown", 0.0)
    told = f"{value:.3f} s of gaps without a cause" if value else "every gap has a cause"
    return Finding(value, told, {"gaps": measured.gaps})


def silent_feed(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q04"""
    if measured.facts.expected_seconds <= 0:
        return not_applicable(_NOTHING_EXPECTED)
    silent, alone = measured.silent_seconds, measured.silent_alone_seconds
    figures = {"silent_seconds": silent, "alone_seconds": alone}
    value = measured.silent_while_others
    if value > 0:
        return Finding(value, f"silent for {value:.3f} s while another ladder went on", figures)
    if alone > 0:
        return unknown(
            f"silent for {alone:.3f} s with no other ladder to compare with: a quiet market "
            "cannot be told from a silent feed",
            **figures,
        )
    told = f"{silent:.3f} s of silence, of other ladders too" if silent else "no silence"
    return Finding(0.0, told, figures)


def renewal(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q05"""
    value = measured.renewal_seconds
    if value is None:
        return not_applicable("no quote was asked for")
    return Finding(value, f"{value:.0f} s was the longest time without a new request for a quote")


def own_sequence(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q06"""
    pod = measured.pod
    if pod is None:
        return unknown(_NO_RUN)
    told = f"{pod.holes} numbers are missing" if pod.holes else "no number is missing"
    return Finding(pod.holes, f"{told} between the {pod.stored} stored frames of the pod")


def verified_and_clean(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q07"""
    book = measured.book
    if book is None:
        return unknown(NO_FRAMES)
    recorded, figures = measured.recorded_seconds, {}
    clean = None if recorded <= 0 else 1 - share(measured.suspect_seconds, recorded)
    told = "how much is clean is unknown: no time was recorded"
    if clean is not None:
        figures["clean"] = clean
        told = f"{percent(clean)} of the recorded time is in no suspect window"
    if not book.keyframes:
        return unknown(f"no keyframe to verify by; {told}", **figures)
    value = book.agreeing_keyframes / book.keyframes
    return Finding(
        value,
        f"{book.agreeing_keyframes} of {book.keyframes} keyframes repeat the carried touch "
        f"({percent(value)}); {told}",
        {"keyframes": book.keyframes, "agreeing_keyframes": book.agreeing_keyframes, **figures},
        CheckVerdict.REPORT,
    )


def spool_balance(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q08"""
    pod = measured.pod
    if pod is None:
        return unknown(_NO_RUN)
    return Finding(
        abs(pod.received - pod.stored),
        f"the pod received {pod.received} frames, {pod.stored} are stored",
        {"received": pod.received, "stored": pod.stored},
    )


def duplicates(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q09"""
    pod = measured.pod
    if pod is None or not pod.stored:
        return unknown(_NO_RUN)
    rows = pod.stored + pod.duplicates
    told = f"{pod.duplicates} of {rows} rows are stored once more than their frames"
    return Finding(pod.duplicates / rows, told, {"duplicates": pod.duplicates, "rows": rows})


def order(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q10"""
    pod = measured.pod
    if pod is None:
        return unknown(_NO_RUN)
    wall = 0 if measured.is_played else pod.wall_steps
    figures: dict[str, float] = {"monotonic": pod.monotonic_steps}
    told = f"steps back: {pod.monotonic_steps} of the monotonic clock"
    if measured.is_played:
        told += f"; the wall clock is not judged, since {_CLOCK.format(measured.source)}"
    else:
        figures["wall"] = wall
        told += f", {wall} of the wall clock"
    if measured.quotes is not None:
        figures["sender"] = measured.quotes.steps_back
        told += f", {measured.quotes.steps_back} of the sender's time in quotes"
    verdict = CheckVerdict.FAIL if pod.monotonic_steps else None
    return Finding(pod.monotonic_steps + wall, told, figures, verdict)


def clock_skew(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q11"""
    quotes = measured.quotes
    if measured.is_played:
        return not_applicable(_CLOCK.format(measured.source))
    if quotes is None or quotes.delays[0] is None:
        return not_applicable(_NO_QUOTE)
    early = quotes.early_quotes / max(1, quotes.quotes - quotes.without_time)
    return Finding(
        quotes.delays[0],
        f"quotes arrive {quotes.delays[0]:.3f} s after their own time in the median, "
        f"{percent(early)} of them before it",
        {"early_share": early, "quotes": quotes.quotes},
    )


def latency(measured: Measured, thresholds: CheckThresholds) -> Finding:
    """Q12"""
    quotes = measured.quotes
    if measured.is_played:
        return not_applicable(_CLOCK.format(measured.source))
    if quotes is None or quotes.delays[0] is None:
        return not_applicable(_NO_QUOTE)
    names = ("p50", "p90", "p99", "p99_9", "longest")
    figures = {
        name: delay for name, delay in zip(names, quotes.delays, strict=True) if delay is not None
    }
    told = ", ".join(f"{name} {delay:.3f} s" for name, delay in figures.items())
    return Finding(quotes.delays[0], f"delay of quotes: {told}; of depth unknown", figures)


def bad_values_of(pod: PodFigures | None, conid: int | None) -> int:
    """Frames of a contract whose values cannot be."""
    return 0 if pod is None or conid is None else pod.bad_values.get(conid, 0)
