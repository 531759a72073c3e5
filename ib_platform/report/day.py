"""What the page of one trade date shows. Plain values, no I/O.

Instants are aware datetimes in UTC, lengths are seconds, prices are floats in price units. None is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ib_platform.warehouse.spans import Span, difference, to_ns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stretch:
    """A span with what it is: a gap or suspect window with its cause, a market phase, or a ladder
    that was followed."""

    begin: datetime
    end: datetime
    what: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True)
class Minute:
    """A bar of one minute. ``spread`` in ticks and depth over five prices a side are weighted by
    time; ``last`` is the last trade's price where one was seen in that minute."""

    begin: datetime
    mid: float | None
    last: float | None
    spread: float | None
    bid_depth: float | None
    ask_depth: float | None


@dataclass(frozen=True)
class Arrivals:
    """How long after the one before of its epoch a ladder frame came. ``counts``: frames by bucket,
    of which bucket n holds 10**(n / 5) to 10**((n + 1) / 5) milliseconds."""

    counts: Mapping[int, int]
    median: float
    p99: float
    longest: float

    @property
    def frames(self) -> int:
        """Frames that have one before them."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class ContractPage:
    """One contract. ``report``: its row of ``quality_report``; ``checks``: its rows of
    ``quality_checks`` in order of their codes; ``followed``: its spells, of all runs."""

    report: Mapping[str, Any]
    checks: Sequence[Mapping[str, Any]]
    gaps: Sequence[Stretch] = ()
    suspects: Sequence[Stretch] = ()
    phases: Sequence[Stretch] = ()
    followed: Sequence[Stretch] = ()
    minutes: Sequence[Minute] = ()
    arrivals: Arrivals | None = None

    @property
    def name(self) -> str:
        """The contract key."""
        return str(self.report["contract"])

    @property
    def recorded(self) -> list[Stretch]:
        """Where a ladder of it was followed and no gap lasted; ascending, disjoint."""
        rest = difference(map(_span, self.followed), map(_span, self.gaps))
        return [Stretch(_instant(begin), _instant(end), "recorded") for begin, end in rest]

    @property
    def source(self) -> str | None:
        """Who sent the frames, ``ibkr`` and others; None where no run says it."""
        return next((check["source"] for check in self.checks if check["source"]), None)

    @property
    def verified(self) -> float | None:
        """Share of the keyframes that repeat the carried touch (Q07)."""
        return self._check("Q07").get("value")

    @property
    def clean(self) -> float | None:
        """Share of the recorded time in no suspect window (Q07)."""
        figures: Mapping[str, float] = self._check("Q07").get("figures", {})
        return figures.get("clean")

    def _check(self, code: str) -> Mapping[str, Any]:
        return next((check for check in self.checks if check["code"] == code), {})


@dataclass(frozen=True)
class DatePage:
    """A trade date and its contracts, in order of their keys. ``begin`` and ``end``: of the trade
    date; ``rules``: the ``inputs_version`` of its rows."""

    trade_date: date
    begin: datetime
    end: datetime
    contracts: Sequence[ContractPage] = field(default_factory=tuple)

    @property
    def built_at(self) -> datetime | None:
        """When the newest of its rows were built."""
        return max((c.report["built_at"] for c in self.contracts), default=None)

    @property
    def rules(self) -> str:
        """Versions of the rules that its rows were built by."""
        return ", ".join(sorted({str(c.report["inputs_version"]) for c in self.contracts}))

    @property
    def revised_at(self) -> datetime | None:
        """When it was built anew because its record had changed; None: never."""
        marks = (c.report["revised_at"] for c in self.contracts)
        return max((mark for mark in marks if mark is not None), default=None)

    @property
    def preliminary(self) -> bool:
        """Whether the date was still open when it was built."""
        return any(c.report["preliminary"] for c in self.contracts)


def _span(stretch: Stretch) -> Span:
    return Span(to_ns(stretch.begin), to_ns(stretch.end))


def _instant(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
