"""Algebra of half-open time spans [begin, end), in integer nanoseconds since the UTC epoch. Pure.

Every function takes spans in any order and answers disjoint, ascending, non-empty ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """[begin, end) in nanoseconds since the UTC epoch."""

    begin: int
    end: int


def to_ns(instant: datetime) -> int:
    """Nanoseconds since the UTC epoch of a timezone-aware instant, exactly."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def nanoseconds_text(instant: int) -> str:
    """An instant as text with all nine digits, in UTC: the client's datetimes hold six."""
    whole = datetime.fromtimestamp(instant // SECOND, UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{instant % SECOND:09d}"


def union(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or overlap become one."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if joined and begin <= joined[-1].end:
            joined[-1] = Span(joined[-1].begin, max(joined[-1].end, end))
        else:
            joined.append(Span(begin, end))
    return joined


def intersection(left: Iterable[Span], right: Iterable[Span]) -> list[Span]:
    """What lies in both."""
    ours, theirs = union(left), union(right)
    common: list[Span] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        begin, end = max(ours[i].begin, theirs[j].begin), min(ours[i].end, theirs[j].end)
        if begin < end:
            common.append(Span(begin, end))
        if ours[i].end < theirs[j].end:
            i += 1
        else:
            j += 1
    return common


def difference(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """What lies in ``spans`` and not in ``holes``."""
    rest: list[Span] = []
    cuts = union(holes)
    first = 0
    for begin, end in union(spans):
        while first < len(cuts) and cuts[first].end <= begin:
            first += 1
        at = first
        while at < len(cuts) and cuts[at].begin < end:
            if cuts[at].begin > begin:
                rest.append(Span(begin, cuts[at].begin))
            begin = max(begin, cuts[at].end)
            at += 1
        if begin < end:
            rest.append(Span(begin, end))
    return rest


def seconds(spans: Iterable[Span]) -> float:
    """Total length in seconds; overlaps count once."""
    return sum(end - begin for begin, end in union(spans)) / SECOND
