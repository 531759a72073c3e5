"""Each contract of a trade date: when it was expected, what is missing of it, and its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import open_spans
from ib_platform.marketdata.phases import PhaseSpan, phases_from
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.warehouse.evidence import Evidence, Gap, Silence, Spell
from ib_platform.warehouse.gaps import expected_spans, find_gaps, tenures
from ib_platform.warehouse.horizon import DateSpan, data_known_until
from ib_platform.warehouse.inputs import Surroundings, read_spells
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.spans import (
    SECOND,
    Span,
    difference,
    intersection,
    to_ns,
    union,
)
from ib_platform.warehouse.told_hours import calendar_difference

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build


@dataclass(frozen=True)
class ContractDay:
    """One contract on one trade date. ``market``: when its market is open. ``spells``: its own."""

    contract: str
    conid: int | None
    paper_user: str | None
    assigned: bool
    expected: list[Span]
    gaps: list[Gap]
    counts: dict[str, Any]
    market: list[Span] = field(default_factory=list)
    spells: list[Spell] = field(default_factory=list)
    phases: list[PhaseSpan] = field(default_factory=list)
    calendar_difference: str | None = None

    @property
    def recorded(self) -> list[Span]:
        """When its ladder was followed while the market was open, gaps left out."""
        followed = intersection((Span(s.begin, s.end) for s in self.spells), self.market)
        return difference(followed, [Span(gap.begin, gap.end) for gap in self.gaps])

    def phase_rows(self) -> list[dict[str, Any]]:
        """Rows of ``phases``."""
        return [
            {
                "contract": self.contract,
                "conid": self.conid,
                "phase": span.phase.value,
                "begin": to_ns(span.begin),
                "end": to_ns(span.end),
            }
            for span in self.phases
        ]

    def gap_rows(self) -> list[dict[str, Any]]:
        """Rows of ``gaps``."""
        return [
            {
                "contract": self.contract,
                "conid": self.conid,
                "begin": gap.begin,
                "end": gap.end,
                "cause": gap.cause.value,
                "paper_user": gap.paper_user,
            }
            for gap in self.gaps
        ]


def contract_rows(
    build: Build, span: DateSpan, around: Surroundings, thresholds: Thresholds
) -> list[ContractDay]:
    """Every contract that was assigned or has ladder frames on the date, in order of its key."""
    spells = read_spells(build)
    silent_after = int(thresholds.silent_after * SECOND)
    silences = [
        Silence(row["conid"], row["run_id"], row["begin"], row["end"])
        for row in build.rows("silences", threshold_ns=silent_after)
    ]
    counts = {row["conid"]: row for row in build.rows("ladder_counts")}
    contracts: dict[str, int | None] = {
        key: around.conids.get(key) for g in around.generations for key in g.paper_users
    }
    named = {conid: key for key, conid in around.conids.items()}
    for conid in sorted({*counts, *(spell.conid for spell in spells)} - {*contracts.values()}):
        contracts.setdefault(named.get(conid, f"conid.{conid}"), conid)
    days = []
    for contract, conid in sorted(contracts.items()):
        evidence = Evidence(
            paper_user=_paper_user(contract, around, counts.get(conid)),
            spells=[spell for spell in spells if spell.conid == conid],
            silences=[silence for silence in silences if silence.conid == conid],
            runs=around.told,
            causes=around.causes,
            silent_after=silent_after,
            losses=around.losses,
            conid=conid,
            steps=around.steps,
            leaps=around.leaps,
            doubts=around.doubts,
        )
        day = _contract_day(contract, conid, evidence, span, around, thresholds)
        day.counts.update(counts.get(conid, {}))
        if day.assigned or day.counts or evidence.spells:
            days.append(day)
    return days


def _contract_day(
    contract: str,
    conid: int | None,
    evidence: Evidence,
    span: DateSpan,
    around: Surroundings,
    thresholds: Thresholds,
) -> ContractDay:
    until = data_known_until(evidence, span, around, thresholds)
    assigned = expected_spans(contract, around.generations, evidence.spells, span.end)
    calendar = around.calendars.get(contract, CalendarName.CME_GLOBEX)
    market = [Span(to_ns(b), to_ns(e)) for b, e in open_spans(calendar, span.trade_date)]
    of_date = intersection(assigned, [Span(span.begin, span.end)])
    known = intersection(market, [Span(span.begin, until)])
    gaps = [
        replace(gap, paper_user=user)
        for user, tenure in tenures(contract, around.generations, evidence.paper_user)
        # What others did and said explains nothing while the contract was not theirs.
        for gap in find_gaps(
            intersection(assigned, [tenure]), replace(evidence, paper_user=user), known
        )
    ]
    # A clock that was set back may show a gap before the assignment.
    expected = union([*intersection(of_date, known), *(Span(gap.begin, gap.end) for gap in gaps)])
    return ContractDay(
        contract,
        conid,
        evidence.paper_user,
        bool(of_date),
        expected,
        gaps,
        {},
        market,
        list(evidence.spells),
        phases_from(calendar, span.trade_date),
        calendar_difference(contract, calendar, span.trade_date, around.told_hours),
    )


def _paper_user(contract: str, around: Surroundings, counts: dict[str, Any] | None) -> str | None:
    assigned = [g.paper_users[contract] for g in around.generations if contract in g.paper_users]
    if assigned:
        return assigned[-1]
    return None if counts is None else str(counts["paper_user"])
