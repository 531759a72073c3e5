"""Which numbers of a run are not stored, and what explains each. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ib_platform.states import Cause
from ib_platform.warehouse.spans import Span, difference, intersection, union
from ib_platform.warehouse.verify.account import RunEnd
from ib_platform.warehouse.verify.evidence import REPORT, Case, Mark, SpooledRun, StoredRun
from ib_platform.warehouse.verify.findings import Kind, Standing

_SHOWN = 5
_RESEND = "See `ib-platform spool ls`, cure it, then `ib-platform spool resend`."
_STILL_THERE = (
    "Their records are still in the spool: copy its folder to a safe place before they are freed. "
    + REPORT
)


def missing_numbers(case: Case, stored: StoredRun, span: Span, kept_from: int | None) -> list[Span]:
    """Ranges of numbers that should be stored, touch the span and are not."""
    account, end = case.account, case.account.end
    ranges = list(stored.holes)
    lowest, highest = stored.lowest, stored.highest
    next_seq = None if end is None else end.next_seq
    if not stored.has_previous:
        first = next_seq if lowest is None else lowest.seq
        until = _instant(lowest, end)
        begin = until if account.started_at is None else account.started_at
        if first and until is not None and begin is not None and _touches(span, begin, until):
            if kept_from is None or begin >= kept_from:
                ranges.append(Span(0, first))
            else:
                text = (
                    f"numbers before {first} were received before the oldest trade date of which "
                    "frames are stored"
                )
                case.find(Kind.NO_BEGINNING, Standing.UNKNOWN, None, text)
    if highest is not None and end is not None and not stored.has_following:
        behind = highest.seq + 1
        if next_seq is not None and next_seq > behind and _touches(span, highest.at, end.at):
            ranges.append(Span(behind, next_seq))
    return union(ranges)


def _instant(lowest: Mark | None, end: RunEnd | None) -> int | None:
    if lowest is not None:
        return lowest.at
    return None if end is None else end.at


def _touches(span: Span, begin: int, end: int) -> bool:
    return min(begin, end) < span.end and max(begin, end) >= span.begin


def judge_missing(
    case: Case, missing: list[Span], stored: StoredRun, spooled: SpooledRun
) -> dict[Standing, int]:
    """Frames that are not stored, by standing; each in one of them."""
    missing = union([*missing, *spooled.not_loaded, *spooled.acknowledged])
    pending = intersection(missing, spooled.not_loaded)
    rest = difference(missing, pending)
    explained = intersection(rest, _damaged(case, rest))
    rest = difference(rest, explained)
    refused = intersection(rest, union(case.account.refused.values()))
    rest = difference(rest, refused)
    unlisted = stored.missing - _count(stored.holes)
    placed = all(damage.begin is not None for damage in case.account.damages)
    standing = Standing.UNEXPLAINED if placed else Standing.UNKNOWN
    if pending:
        text = f"in the spool and not loaded yet: {_words(pending)}"
        case.find(Kind.NOT_LOADED, Standing.PENDING, _count(pending), text)
    if explained:
        text = f"not stored, their records were damaged in the spool: {_words(explained)}"
        cause = Cause.SPOOL_DAMAGED.value
        case.find(Kind.MISSING, Standing.EXPLAINED, _count(explained), text, cause=cause)
    if refused:
        text = f"ClickHouse refused them for their content, they are set aside: {_words(refused)}"
        cause = Cause.QUARANTINED.value
        count = _count(refused)
        case.find(Kind.MISSING, Standing.EXPLAINED, count, text, cause=cause, remedy=_RESEND)
    if rest or unlisted:
        more = f" and {unlisted} more" if unlisted else ""
        text = f"not stored: {_words(rest)}{more}"
        if not placed:
            text += "; damage of the spool is recorded, but not which numbers it took"
        remedy = _STILL_THERE if intersection(rest, spooled.acknowledged) else REPORT
        case.find(Kind.MISSING, standing, _count(rest) + unlisted, text, remedy=remedy)
    counts = dict.fromkeys(Standing, 0)
    counts[Standing.PENDING] = _count(pending)
    counts[Standing.EXPLAINED] = _count(explained) + _count(refused)
    counts[standing] += _count(rest) + unlisted
    return counts


def _damaged(case: Case, missing: list[Span]) -> list[Span]:
    """Numbers that damage took, as its events say. Open damage took the range that begins there."""
    ranges = []
    for damage in case.account.damages:
        if damage.begin is None:
            continue
        end = damage.end
        if end is None:
            end = next((r.end for r in missing if r.begin == damage.begin), None)
        if end is None:
            text = (
                f"the spool was damaged behind number {damage.begin}; how much it took is unknown"
            )
            cause = Cause.SPOOL_DAMAGED.value
            case.find(Kind.DAMAGED, Standing.EXPLAINED, None, text, cause=cause)
        else:
            ranges.append(Span(damage.begin, end))
    return ranges


def _count(ranges: Iterable[Span]) -> int:
    return sum(end - begin for begin, end in ranges)


def _words(ranges: list[Span]) -> str:
    shown = [str(b) if e == b + 1 else f"{b} to {e - 1}" for b, e in ranges[:_SHOWN]]
    more = len(ranges) - _SHOWN
    return f"seq {', '.join(shown)}" + (f" and {more} more ranges" if more > 0 else "")
