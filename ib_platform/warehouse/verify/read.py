"""Reading what a verification rests on. Read only; memory does not grow with a run's length.

Events are read before frames: whatever an event that is stored says, the frames before it were
stored earlier. The other way round a run that ends meanwhile would seem to lack frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.spans import SECOND, Span, to_ns
from ib_platform.warehouse.sql import query
from ib_platform.warehouse.verify.account import RunAccount, accounts_of
from ib_platform.warehouse.verify.evidence import Mark, StoredRun

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BLOCK = 1_000_000
"""Numbers that one query looks at."""
MOST_HOLES = 1000
"""Ranges kept per block; more are only counted."""
_LARGEST = 2**63 - 1
_EXAMPLES = 5


@dataclass(frozen=True)
class Evidence:
    """Accounts and stored frames of the runs that the span may concern. ``kept_from``: as in
    ``judge_run``."""

    accounts: Mapping[str, RunAccount]
    stored: Mapping[str, StoredRun]
    kept_from: int | None

    def stored_of(self, run_id: str) -> StoredRun:
        """Nothing, for a run that only a spool tells of."""
        return self.stored.get(run_id, StoredRun())


class Reader:
    """Queries over one span (ns since 1970) and these paper users, all when there are none."""

    def __init__(
        self, client: Client, span: Span, paper_users: Sequence[str] = (), *, block: int = BLOCK
    ) -> None:
        self._client = client
        self._span = span
        self._users = list(paper_users)
        self._block = block
        self._bound: dict[str, Any] = {
            "begin_ns": span.begin,
            "end_ns": span.end,
            "read_from": _trade_date(span.begin),
            "read_to": _trade_date(span.end - 1),
            "paper_users": self._users,
        }

    def read(self) -> Evidence:
        """Everything of the warehouse that the span needs."""
        accounts = accounts_of(self._rows("verify_events"))
        found = {row["run_id"]: row for row in self._rows("verify_runs")}
        for row in found.values():
            run_id = row["run_id"]
            accounts.setdefault(run_id, RunAccount(run_id, row["paper_user"]))
        stored = {}
        for run_id, account in accounts.items():
            if run_id in found or _may_touch(account, self._span):
                stored[run_id] = self._stored(account, found.get(run_id))
        return Evidence({run_id: accounts[run_id] for run_id in stored}, stored, self._kept_from())

    def _stored(self, account: RunAccount, row: dict[str, Any] | None) -> StoredRun:
        whose = {"paper_user": account.paper_user, "run_id": account.run_id}
        marks = dict(self._neighbours(whose, row))
        run = StoredRun(has_previous="before" in marks, has_following="after" in marks)
        ends = [*marks.values()]
        if row is not None:
            bound = {**whose, "last_seq": row["last_seq"]}
            (counts,) = self._rows("verify_stored", **bound)
            run = replace(
                run,
                rows=row["rows"],
                frames=counts["frames"],
                payload_bytes=counts["payload_bytes"],
            )
            ends += [Mark(row["first_seq"], row["first_at"]), Mark(row["last_seq"], row["last_at"])]
        if not ends:
            return run
        run = replace(run, lowest=min(ends, key=_seq), highest=max(ends, key=_seq))
        return self._with_blocks(run, account, whose)

    def _neighbours(
        self, whose: dict[str, str], row: dict[str, Any] | None
    ) -> Iterator[tuple[str, Mark]]:
        """Beside the numbers of the run in the span; beside the span where it has none in it."""
        bound: dict[str, Any] = {
            "before_seq": _LARGEST if row is None else row["first_seq"],
            "before_ns": self._span.begin if row is None else _LARGEST,
            "after_seq": -1 if row is None else row["last_seq"],
            "after_ns": self._span.end if row is None else -_LARGEST,
        }
        for found in self._rows("verify_neighbours", **whose, **bound):
            yield found["side"], Mark(found["seq"], found["at"])

    def _with_blocks(self, run: StoredRun, account: RunAccount, whose: dict[str, str]) -> StoredRun:
        """Holes and conflicts, looked for block by block."""
        assert run.lowest is not None
        assert run.highest is not None
        damaged = [d.begin for d in account.damages if d.begin is not None]
        holes: list[Span] = []
        examples: list[int] = []
        missing = conflicting = 0
        begin, end = run.lowest.seq, run.highest.seq
        unseen = begin
        while True:
            (block,) = self._rows(
                "verify_holes",
                **whose,
                begin_seq=begin,
                end_seq=end,
                damaged=damaged,
                block=self._block,
                most=MOST_HOLES,
            )
            missing += block["missing"]
            holes += [Span(first, behind) for _, first, behind in block["holes"]]
            last = block["last_seq"]
            # Always: the other row of a number may lie outside of the span, which no count shows.
            bounds = {"begin_seq": unseen, "end_seq": last}
            (repeated,) = self._rows("verify_repeated", **whose, **bounds)
            conflicting += repeated["conflicting"]
            examples += repeated["examples"]
            if last >= end or last <= begin:
                break
            begin, unseen = last, last + 1
        return replace(
            run,
            holes=tuple(holes),
            missing=missing,
            conflicting=conflicting,
            conflicting_examples=tuple(dict.fromkeys(examples))[:_EXAMPLES],
        )

    def _kept_from(self) -> int | None:
        ((count, oldest),) = self._client.query(
            "SELECT count(), min(trade_date) FROM frames"
        ).result_rows
        return to_ns(trade_date_span(date_of(oldest))[0]) if count else None

    def _rows(self, name: str, **extra: Any) -> list[dict[str, Any]]:
        answer = self._client.query(query(name), {**self._bound, **extra})
        return list(answer.named_results())


def _may_touch(account: RunAccount, span: Span) -> bool:
    """Whether the run may have received frames in the span, going by its events alone."""
    end = None if account.end is None else account.end.at
    begin = end if account.started_at is None else account.started_at
    if begin is None or begin >= span.end:
        return False
    return end is None or end >= span.begin


def _seq(mark: Mark) -> int:
    return mark.seq


def _trade_date(instant: int) -> date:
    return trade_date_of(datetime.fromtimestamp(instant // SECOND, UTC))
