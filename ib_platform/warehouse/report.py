"""Per contract of a trade date: expectation, gaps, suspect windows, and the report's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import CalendarName, open_spans
from ib_platform.states import Cause
from ib_platform.warehouse.evidence import Evidence, Gap, Loss, Silence, Spell
from ib_platform.warehouse.gaps import expected_spans, find_gaps
from ib_platform.warehouse.inputs import Surroundings
from ib_platform.warehouse.quality import Facts, Thresholds, judge
from ib_platform.warehouse.spans import SECOND, Span, intersection, seconds, to_ns

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build

_NO_DAY = dict.fromkeys(
    (
        "states",
        "one_sided_states",
        "empty_states",
        "crossed_states",
        "locked_states",
        "warm_up_states",
        "crossed_seconds",
        "two_sided_seconds",
    ),
    0,
)


@dataclass(frozen=True)
class DateSpan:
    """A trade date and its span in nanoseconds."""

    trade_date: date
    begin: int
    end: int
    is_open: bool


@dataclass(frozen=True)
class ContractDay:
    """One contract on one trade date."""

    contract: str
    conid: int | None
    paper_user: str | None
    assigned: bool
    expected: list[Span]
    gaps: list[Gap]
    counts: dict[str, Any]

    def gap_rows(self) -> list[dict[str, Any]]:
        """Rows of ``gaps``."""
        return [
            {
                "contract": self.contract,
                "conid": self.conid,
                "begin": gap.begin,
                "end": gap.end,
                "cause": gap.cause.value,
                "paper_user": self.paper_user,
            }
            for gap in self.gaps
        ]


def contract_rows(
    build: Build, span: DateSpan, around: Surroundings, thresholds: Thresholds
) -> list[ContractDay]:
    """Every contract that was assigned or has ladder frames on the date, in order of its key."""
    spells = _spells(build)
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
    expected = intersection(intersection(of_date, market), [Span(span.begin, until)])
    return ContractDay(
        contract,
        conid,
        evidence.paper_user,
        bool(of_date),
        expected,
        find_gaps(expected, evidence),
        {},
    )


def data_known_until(
    evidence: Evidence, span: DateSpan, around: Surroundings, thresholds: Thresholds
) -> int:
    """Until when data are known. A live run is known until its own last frame.

    Where its ladder is still followed, that is the end of the ladder's spell: frames that arrived
    between the query of the spells and the query of the runs belong to the next build.
    """
    if not span.is_open:
        return span.end
    newest, mute = around.newest, around.mute_until(evidence.paper_user)
    if mute is not None and (newest is None or newest < mute):
        # A run that has never got in: nothing has come until its last word.
        return mute
    if newest is None:
        return span.begin
    own = [run for run in around.runs if run.paper_user == evidence.paper_user]
    if own:
        last = max(own, key=lambda run: (run.first_at, run.run_id))
        if not last.stopped and newest - last.last_at <= thresholds.tail_slack * SECOND:
            followed = [
                spell.end
                for spell in evidence.spells
                if spell.run_id == last.run_id and spell.ended_by == "run_end"
            ]
            return max(followed, default=last.last_at)
    return newest


def _paper_user(contract: str, around: Surroundings, counts: dict[str, Any] | None) -> str | None:
    assigned = [g.paper_users[contract] for g in around.generations if contract in g.paper_users]
    if assigned:
        return assigned[-1]
    return None if counts is None else str(counts["paper_user"])


def _spells(build: Build) -> list[Spell]:
    answer = build.client.query(
        "SELECT conid, paper_user, run_id, epoch, toUnixTimestamp64Nano(begin), "
        "toUnixTimestamp64Nano(end), toUnixTimestamp64Nano(last_frame_at), ended_by, cause "
        f"FROM {build.stages['spells']} ORDER BY conid, run_id, epoch"
    )
    return [Spell(*row) for row in answer.result_rows]


def suspect_rows(
    build: Build, around: Surroundings | None, crossed: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of ``suspect_windows``: crossed states, and with ``around`` frames that were lost or
    could not be decoded, late stamps and steps of the clock."""
    rows = [{**row, "cause": Cause.CROSSED_BOOK.value} for row in crossed]
    if around is None:
        return _longest(rows)
    spells = _spells(build)
    for row in build.rows("undecodable"):
        ends = [
            spell.end
            for spell in spells
            if (spell.conid, spell.run_id) == (row["conid"], row["run_id"])
            and spell.begin <= row["begin"] <= spell.end
        ]
        end = min([e for e in (row["end"], *ends) if e is not None], default=row["begin"])
        rows.append({**row, "end": max(end, row["begin"]), "cause": Cause.UNDECODABLE.value})
    for run_id, doubt, cause in around.doubts:
        rows += [
            _window(run_id, ladder, doubt.begin, doubt.end, cause)
            for ladder in _ladders(spells, run_id, doubt)
        ]
    for loss in around.losses:
        rows += _after_loss(build, loss, spells)
    return _longest(rows)


def _after_loss(build: Build, loss: Loss, spells: Sequence[Spell]) -> list[dict[str, Any]]:
    """What a ladder carried forward is in doubt from a loss until its next window."""
    ladders = _ladders(spells, loss.run_id, Span(loss.begin, loss.end))
    if not ladders:
        return []
    laid = {
        row["conid"]: row["laid_at"]
        for row in build.rows("laid_after", run_id=loss.run_id, instant=loss.end)
    }
    return [
        _window(
            loss.run_id,
            (conid, user),
            loss.begin,
            max(loss.end, min(end, laid.get(conid, end))),
            Cause(loss.cause) if loss.cause in Cause.__members__.values() else Cause.UNKNOWN,
        )
        for (conid, user), end in ladders.items()
    ]


def _ladders(spells: Sequence[Spell], run_id: str, span: Span) -> dict[tuple[int, str], int]:
    """Ladders (conid, paper user) that the run followed in the span, with the last one's end."""
    ladders: dict[tuple[int, str], int] = {}
    for spell in spells:
        if spell.run_id == run_id and spell.begin <= span.end and spell.end >= span.begin:
            key = (spell.conid, spell.paper_user)
            ladders[key] = max(ladders.get(key, spell.end), spell.end)
    return ladders


def _window(
    run_id: str, ladder: tuple[int, str], begin: int, end: int, cause: Cause
) -> dict[str, Any]:
    conid, paper_user = ladder
    return {
        "conid": conid,
        "paper_user": paper_user,
        "run_id": run_id,
        "begin": begin,
        "end": end,
        "cause": cause.value,
    }


def _longest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of windows of one run that begin at the same instant for the same cause, the longest."""
    longest = {}
    for row in sorted(rows, key=lambda row: int(row["end"])):
        longest[(row["conid"], row["run_id"], row["begin"], row["cause"])] = row
    return list(longest.values())


def build_report(
    contracts: Sequence[ContractDay],
    days: dict[int, dict[str, Any]],
    around: Surroundings,
    span: DateSpan,
    thresholds: Thresholds,
) -> list[dict[str, Any]]:
    """Rows of ``quality_report``. ``days``: the daily bar by conid."""
    return [
        _report_row(day, days.get(day.conid or 0, _NO_DAY), around, span, thresholds)
        for day in contracts
        if day.assigned or day.counts
    ]


def _report_row(
    day: ContractDay,
    bar: dict[str, Any],
    around: Surroundings,
    span: DateSpan,
    thresholds: Thresholds,
) -> dict[str, Any]:
    by_cause: dict[str, float] = {}
    for gap in day.gaps:
        length = (gap.end - gap.begin) / SECOND
        by_cause[gap.cause.value] = by_cause.get(gap.cause.value, 0.0) + length
    missing = seconds(Span(gap.begin, gap.end) for gap in day.gaps)
    pod = around.pods.get(day.paper_user or "")
    facts = Facts(
        date_is_open=span.is_open,
        assigned=day.assigned,
        expected_seconds=seconds(day.expected),
        covered_seconds=seconds(day.expected) - missing,
        gap_seconds_by_cause=by_cause,
        ladder_frames=day.counts.get("ladder_frames", 0),
        crossed_seconds=bar["crossed_seconds"],
        two_sided_seconds=bar["two_sided_seconds"],
        undecodable=day.counts.get("undecodable", 0),
        frames_received=None if pod is None else pod.received,
        frames_stored=None if pod is None else pod.stored,
    )
    verdict, reasons = judge(facts, thresholds)
    states = bar["states"] + bar["one_sided_states"] + bar["empty_states"]
    return {
        "contract": day.contract,
        "conid": day.conid,
        "paper_user": day.paper_user,
        "verdict": verdict.value,
        "reasons": reasons,
        "preliminary": span.is_open,
        "expected_seconds": facts.expected_seconds,
        "covered_seconds": facts.covered_seconds,
        "coverage": facts.coverage,
        "gaps": len(day.gaps),
        "gap_seconds": missing,
        "gap_seconds_by_cause": by_cause,
        "ladder_frames": facts.ladder_frames,
        "orphans": day.counts.get("orphans", 0),
        "two_sided": bar["states"],
        "one_sided": bar["one_sided_states"],
        "empty": bar["empty_states"],
        "crossed": bar["crossed_states"],
        "locked": bar["locked_states"],
        "crossed_seconds": bar["crossed_seconds"],
        "warm_up_share": bar["warm_up_states"] / states if states else None,
        "undecodable": facts.undecodable,
        "frames_received": facts.frames_received,
        "frames_stored": facts.frames_stored,
        "frames_lost": None if pod is None else pod.received - pod.stored,
        "duplicates": None if pod is None else pod.duplicates,
    }
