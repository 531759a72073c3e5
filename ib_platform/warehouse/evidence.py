"""What gaps are found and explained from: plain values that ``inputs`` and ``report`` read. Pure.

All instants are nanoseconds since the UTC epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ib_platform.states import Cause
from ib_platform.warehouse.spans import Span

RUN_END = "run_end"


@dataclass(frozen=True)
class Spell:
    """A row of ``spells``: one epoch of one contract in one run, clipped to the trade date.

    ``first_seq``, ``last_seq``: numbers of its first and last ladder frame, on any date.
    ``first_at``: of the first one; ``begin`` is ``end`` where the clock was set back since.
    """

    conid: int
    paper_user: str
    run_id: str
    epoch: int
    begin: int
    end: int
    last_frame_at: int
    ended_by: str
    cause: str | None
    first_seq: int = 0
    last_seq: int = 0
    first_at: int | None = None


@dataclass(frozen=True)
class Run:
    """One streamer run, over all its dates. ``stopped``: it said goodbye (``run_stopped``).

    ``first_at``, ``last_at``: of the first and last that is known of it; the second may be the
    smaller one, where the clock was set. ``recovered``: a later run of the paper user found its
    spool, so it died. ``number``: its place among the runs of the paper user.
    """

    paper_user: str
    run_id: str
    first_at: int
    last_at: int
    stopped: bool = False
    stop_cause: str | None = None
    recovered: bool = False
    number: int = 0

    @property
    def place(self) -> tuple[int, int, str]:
        """Sorts the runs of one paper user in the order in which they ran."""
        return self.number, self.first_at, self.run_id


@dataclass(frozen=True)
class Silence:
    """Two successive ladder frames of one epoch, further apart than the threshold."""

    conid: int
    run_id: str
    begin: int
    end: int


@dataclass(frozen=True)
class Loss:
    """A span in which frames of a run were received and not kept, nobody knows whose. ``between``:
    numbers of the frames before and after them, None where nobody says."""

    run_id: str
    begin: int
    end: int
    cause: str
    between: tuple[int, int] | None = None


@dataclass(frozen=True)
class StepBack:
    """The wall clock was set back in a run, or before it, and before its frame ``before_seq``.
    ``until``: what the clock would have shown, had it not been set, when it was first seen to show
    ``since``."""

    run_id: str
    before_seq: int
    until: int
    since: int


@dataclass(frozen=True)
class Leap:
    """The wall clock was set ahead in a run, or before it, and before its frame ``before_seq``: it
    never showed ``skipped``."""

    run_id: str
    before_seq: int
    skipped: Span


@dataclass(frozen=True)
class NamedCause:
    """A stream event that names a cause; ``conid`` None concerns the whole run."""

    at: int
    paper_user: str
    conid: int | None
    cause: str


@dataclass(frozen=True)
class Generation:
    """One assignment: contract key -> paper user, in force from ``created_at``, due from
    ``effective_at``."""

    created_at: int
    effective_at: int
    paper_users: dict[str, str]


@dataclass(frozen=True)
class Gap:
    """[begin, end) of one contract, with its cause, and whose it was then."""

    begin: int
    end: int
    cause: Cause
    paper_user: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known about one contract's streams on a date. ``conid``: what its key was resolved
    to, None = never; a ladder that never came has no spell that would tell. ``doubts``: run and
    span in which its stamps are not to be trusted, and why."""

    paper_user: str | None
    spells: Sequence[Spell]
    silences: Sequence[Silence]
    runs: Sequence[Run]
    causes: Sequence[NamedCause]
    silent_after: int
    losses: Sequence[Loss] = ()
    conid: int | None = None
    steps: Sequence[StepBack] = ()
    leaps: Sequence[Leap] = ()
    doubts: Sequence[tuple[str, Span, Cause]] = ()

    def conids(self) -> set[int]:
        """Every conid that the contract meant on the date."""
        known = {spell.conid for spell in self.spells}
        return known if self.conid is None else known | {self.conid}
