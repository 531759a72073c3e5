"""The rows of ``quality_checks`` of a build: measured, put together, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.warehouse.checks.around import (
    longest_spell,
    longest_without_renewal,
    one_source,
    pods_overlap,
    silences,
    sources_said,
    suspects,
)
from ib_platform.warehouse.checks.figures import Measured, PodFigures
from ib_platform.warehouse.checks.judge import check_rows
from ib_platform.warehouse.checks.measure import Figures, read_figures, read_sources
from ib_platform.warehouse.crossed import seconds_by_conid
from ib_platform.warehouse.facts import NO_BAR, facts_of
from ib_platform.warehouse.inputs import ContractFacts, Surroundings
from ib_platform.warehouse.quality import Thresholds, judge
from ib_platform.warehouse.spans import Span, seconds

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build
    from ib_platform.warehouse.contract_days import ContractDay
    from ib_platform.warehouse.horizon import DateSpan

_FRONT = "front"
_MAY_BE_NEGATIVE = frozenset({"NYMEX"})
"""Exchanges of products whose prices were below 0, as crude oil's in April 2020."""


def quality_checks(
    build: Build,
    span: DateSpan,
    contracts: Sequence[ContractDay],
    around: Surroundings,
    thresholds: Thresholds,
    daily: Mapping[int, Mapping[str, Any]],
    crossed: Sequence[dict[str, Any]],
    suspect_windows: Sequence[Mapping[str, Any]],
    states: tuple[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """33 rows for each contract that has a row in ``quality_report``.

    ``daily``: the daily bars by conid. ``crossed``: crossed states of the open market. ``states``:
    the query that stands for ``states.sql``, and what it binds.
    """
    reported = [day for day in contracts if day.assigned or day.counts]
    overlapping = [day.conid for day in reported if day.conid is not None and pods_overlap(day)]
    found = _Found(
        span,
        contracts,
        around,
        thresholds,
        daily,
        crossed,
        suspect_windows,
        read_figures(
            build, reported, around, thresholds, states, overlapping, is_open=span.is_open
        ),
        _sources(build, reported, around),
    )
    return [
        row
        for day in reported
        for row in check_rows(found.of(day), thresholds.product(day.contract).checks)
    ]


@dataclass(frozen=True)
class _Found:
    """Everything that a build has found out; ``of`` picks what concerns one contract."""

    span: DateSpan
    contracts: Sequence[ContractDay]
    around: Surroundings
    thresholds: Thresholds
    daily: Mapping[int, Mapping[str, Any]]
    crossed: Sequence[dict[str, Any]]
    suspect_windows: Sequence[Mapping[str, Any]]
    figures: Figures
    said: Mapping[str, str | None]

    def of(self, day: ContractDay) -> Measured:
        """What was measured of one contract."""
        key, figures, around = day.conid or 0, self.figures, self.around
        crossed_seconds = seconds_by_conid(self.crossed).get(key, 0.0)
        facts = facts_of(day, self.daily.get(key, NO_BAR), around, self.span, crossed_seconds)
        others = [other for other in self.contracts if other is not day]
        silent = silences(day, others, self.thresholds.silent_after)
        doubts = suspects(day.conid, self.suspect_windows, day.recorded)
        told = around.facts.get(key, ContractFacts())
        return Measured(
            contract=day.contract,
            conid=day.conid,
            facts=facts,
            spoken=judge(facts, self.thresholds.of(day.contract)),
            expected_causes=self.thresholds.expected_causes,
            gaps=len(day.gaps),
            silent_seconds=silent.total,
            silent_alone_seconds=silent.alone,
            silent_while_others=silent.while_others,
            renewal_seconds=longest_without_renewal(
                _conids(day), around.events, around.told, Span(self.span.begin, self.span.end)
            ),
            pod=_pod(day.paper_user, around, figures),
            book=figures.books.get(key),
            quotes=figures.quotes.get(key),
            bars=figures.bars.get(key),
            rates=figures.rates.get(key),
            overlap=figures.overlaps.get(key),
            longest_crossed_seconds=longest_spell(day.conid, self.crossed),
            recorded_states=day.counts.get("ladder_frames", 0) - day.counts.get("orphans", 0),
            null_cells=day.counts.get("null_cells", 0),
            cells=day.counts.get("cells", 0),
            tick_known=told.tick is not None,
            days_left=_days_left(told, self.span.trade_date),
            roll_due_days=_roll_days(day.contract, self.thresholds),
            recorded_seconds=seconds(day.recorded),
            suspect_seconds=doubts.seconds,
            suspect_by_cause=doubts.by_cause,
            suspect_windows=doubts.windows,
            forbids_nonpositive=_forbids_nonpositive(day.contract, self.thresholds),
            source=one_source(_run_ids(day, around), self.said),
        )


def _days_left(told: ContractFacts, trade_date: date) -> int | None:
    return None if told.last_trade_date is None else (told.last_trade_date - trade_date).days


def _roll_days(contract: str, thresholds: Thresholds) -> int | None:
    """Only a front month rolls."""
    return thresholds.product(contract).roll_days if contract.endswith(f".{_FRONT}") else None


def _conids(day: ContractDay) -> list[int]:
    own = {spell.conid for spell in day.spells}
    return sorted(own if day.conid is None else own | {day.conid})


def _run_ids(day: ContractDay, around: Surroundings) -> list[str]:
    """Runs that streamed the contract; without any, those of its paper user."""
    own = sorted({spell.run_id for spell in day.spells})
    return own or [run.run_id for run in around.runs if run.paper_user == day.paper_user]


def _sources(
    build: Build, days: Sequence[ContractDay], around: Surroundings
) -> dict[str, str | None]:
    said = sources_said(around.events)
    missing = sorted({run_id for day in days for run_id in _run_ids(day, around)} - said.keys())
    return {**said, **read_sources(build, missing)}


def _pod(paper_user: str | None, around: Surroundings, figures: Figures) -> PodFigures | None:
    counts = around.pods.get(paper_user or "")
    row = figures.frames.get(paper_user or "")
    if counts is None or row is None:
        return None
    return PodFigures(
        received=counts.received,
        stored=counts.stored,
        duplicates=counts.duplicates,
        holes=counts.holes,
        monotonic_steps=row["monotonic_steps"],
        wall_steps=row["wall_steps"],
        drifted=row["drifted"],
        drifts=sorted(row["drifts"]),
        unknown_keys=row["unknown_keys"],
        bad_values=row["bad_values"],
    )


def _forbids_nonpositive(contract: str, thresholds: Thresholds) -> bool:
    allowed = thresholds.product(contract).checks.nonpositive_prices
    if allowed is not None:
        return not allowed
    parts = contract.split(".")
    # Of a bare conid nobody knows the exchange.
    return len(parts) == 3 and parts[1] not in _MAY_BE_NEGATIVE
