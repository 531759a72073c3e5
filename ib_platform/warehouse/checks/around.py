"""What the spans, runs and events around a contract tell the checks. Pure.

Instants are nanoseconds since the UTC epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.event_details import detail_of
from ib_platform.warehouse.spans import SECOND, Span, intersection, seconds, union

if TYPE_CHECKING:
    from ib_platform.warehouse.contract_days import ContractDay
    from ib_platform.warehouse.evidence import Run

MIXED = "mixed"
_ENDS_QUOTES = (StreamEventKind.DISCONNECTED, StreamEventKind.RUN_STOPPED)


@dataclass(frozen=True)
class Silences:
    """Seconds in which a ladder was silent: in all, ``alone`` with no other ladder that could be
    compared, and while another one went on for longer than the limit."""

    total: float
    alone: float
    while_others: float


def silences(day: ContractDay, others: Sequence[ContractDay], silent_after: float) -> Silences:
    """Of one contract. Two ladders that pause together do not begin at the same instant: only what
    another one outlives by more than ``silent_after`` seconds is a silent feed."""
    lively = union(span for other in others for span in other.recorded)
    followed = union(Span(s.begin, s.end) for other in others for s in other.spells)
    markets = union(span for other in others for span in other.market)
    total = alone = while_others = 0.0
    for gap in day.gaps:
        if gap.cause is not Cause.SILENT_LADDER:
            continue
        span = Span(gap.begin, gap.end)
        length = seconds([span])
        outlived = seconds(intersection([span], lively))
        total += length
        if outlived > silent_after:
            while_others += outlived
        elif not intersection(intersection([span], followed), markets):
            alone += length
    return Silences(total, alone, while_others)


def longest_without_renewal(
    conids: Iterable[int], events: Sequence[Mapping[str, Any]], runs: Iterable[Run], date: Span
) -> float | None:
    """Longest time on the date for which a quote of ``conids`` went on without a new request, in
    seconds; None where none was asked for. It ends with the connection, or with the run."""
    wanted, last_words = set(conids), {run.run_id: run.last_at for run in runs}
    longest: float | None = None
    since: dict[tuple[str, int], int] = {}

    def end(key: tuple[str, int], at: int) -> None:
        nonlocal longest
        begin = since.pop(key)
        if begin < date.end and at >= date.begin:
            longest = max(longest or 0.0, (min(at, date.end) - begin) / SECOND)

    for event in events:
        run_id, kind, detail = event["run_id"], event["kind"], detail_of(dict(event))
        conid = detail.get("conid")
        key = (run_id, conid if isinstance(conid, int) else 0)
        of_quote = detail.get("topic") in ("smd", "umd") and conid in wanted
        lost = kind in _ENDS_QUOTES or (
            kind == StreamEventKind.SESSION_CHANGED and event["cause"] is not None
        )
        for open_key in [k for k in since if k[0] == run_id and (lost or of_quote and k == key)]:
            end(open_key, event["at"])
        if of_quote and kind == StreamEventKind.SUBSCRIBE_REQUESTED:
            since[key] = event["at"]
    for key in list(since):
        end(key, last_words.get(key[0], since[key]))
    return longest


def sources_said(events: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """What the runs that started among the events said of their source, by run id."""
    return {
        event["run_id"]: _text(detail_of(dict(event)).get("source"))
        for event in events
        if event["kind"] == StreamEventKind.RUN_STARTED
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def one_source(run_ids: Iterable[str], said: Mapping[str, str | None]) -> str | None:
    """The source of several runs: None where none says it."""
    found = {source for run_id in run_ids if (source := said.get(run_id)) is not None}
    return (found.pop() if len(found) == 1 else MIXED) if found else None


def pods_overlap(day: ContractDay) -> bool:
    """Whether two paper users followed the contract at the same time."""
    users: dict[str, list[Span]] = {}
    for spell in day.spells:
        users.setdefault(spell.paper_user, []).append(Span(spell.begin, spell.end))
    so_far: list[Span] = []
    for spans in users.values():
        if intersection(so_far, spans):
            return True
        so_far = union([*so_far, *spans])
    return False


@dataclass(frozen=True)
class Suspects:
    """Suspect windows of one contract: how many, how long in recorded time, and by cause."""

    windows: int
    seconds: float
    by_cause: Mapping[str, float]


def suspects(
    conid: int | None, windows: Sequence[Mapping[str, Any]], recorded: Sequence[Span]
) -> Suspects:
    """Of the rows of ``suspect_windows``."""
    own = [row for row in windows if row["conid"] == conid]
    causes: dict[str, list[Span]] = {}
    for row in own:
        causes.setdefault(row["cause"], []).append(Span(row["begin"], row["end"]))
    inside = {cause: seconds(intersection(spans, recorded)) for cause, spans in causes.items()}
    everything = intersection((span for spans in causes.values() for span in spans), recorded)
    return Suspects(len(own), seconds(everything), inside)


def longest_spell(conid: int | None, crossed: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of the longest time without interruption that the rows of ``crossed.sql`` tell."""
    runs: dict[str, list[Span]] = {}
    for row in crossed:
        if row["conid"] == conid:
            runs.setdefault(row["run_id"], []).append(Span(row["begin"], row["end"]))
    spans = [span for of_run in runs.values() for span in union(of_run)]
    return max((span.end - span.begin for span in spans), default=0) / SECOND
