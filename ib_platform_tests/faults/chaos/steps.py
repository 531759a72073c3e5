"""Is every step of the wall clock told, and is every step that is told a true one? PURE.

The product's word for a step excuses much, so it is believed only where the chaos stepped the
clock, and where the stored rows show it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ib_platform.states import StreamEventKind
from ib_platform_tests.faults.chaos.evidence import SECOND, Event, Evidence, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

STEP = SECOND // 2
"""Smaller ones need not be told."""
_NOTED = 3 * SECOND
"""A fault may be noted this long before or after its effect."""
_EXACT = SECOND // 100
_LOOKED = SECOND // 2
_NEAR = 5
"""Rows that may have been stamped between two looks, on the other side of the step."""


@dataclass(frozen=True, slots=True)
class ToldStep:
    """An event ``clock_step``. ``before``, ``after``, ``begin``, ``end``: wall; ``by``: ns."""

    event: Event
    before: int
    after: int
    begin: int
    end: int
    by: int

    @property
    def passed(self) -> int:
        """Time between the two looks at the clocks."""
        return self.after - self.before - self.by


@dataclass(frozen=True, slots=True)
class TrueStep:
    """A told step that was done. ``since`` and ``until``: of the two looks, monotonic."""

    told: ToldStep
    since: int
    until: int


class Steps:
    """What is told of steps, and which of it is true."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._rows = sorted(evidence.stored, key=lambda row: row.monotonic)
        self._at = [row.monotonic for row in self._rows]
        self._done = sorted(f.begin for f in evidence.faults if f.kind is Kind.CLOCK_STEP)
        self.true: list[TrueStep] = []
        self.false: list[Event] = []
        for event in evidence.events:
            if event.kind == StreamEventKind.CLOCK_STEP:
                told = _told(event)
                true = None if told is None else self._true(told)
                if true is None:
                    self.false.append(event)
                else:
                    self.true.append(true)
        self._untold = list(self._find_untold())

    def back(self) -> list[tuple[int, int]]:
        """Spans of wall time that may have come twice, as true events tell, and as rows show where
        the event was cut off. When between its two sides a step was, nobody knows."""
        told = [(s.told.before, s.told.after, s.told.by) for s in self.true]
        cut_off = [
            (before.received, after.received, after.offset - before.offset)
            for before, after in self._untold
            if self._was_cut_off(before, after)
        ]
        return [(before + by, after - by) for before, after, by in [*told, *cut_off] if by < 0]

    def violations(self) -> Iterator[str]:
        """Steps that are told and were not done, and those that are shown and not told."""
        for event in self.false:
            yield (
                f"an event of run {event.run_id} tells of a step of the clock by "
                f"{event.detail.get('step_ms')} ms, and nobody set it so"
            )
        for before, after in self._untold:
            if not self._was_cut_off(before, after):
                step = (after.offset - before.offset) / SECOND
                yield (
                    f"the clock was stepped by {step:.3f} s before frame {after.seq} of run "
                    f"{after.run_id}, and no event tells of it"
                )

    def _find_untold(self) -> Iterator[tuple[Stored, Stored]]:
        for before, after in pairwise(self._rows):
            step = after.offset - before.offset
            told = [s.told.by for s in self.true if _meet(s, before, after)]
            # What is left of a damaged spool may make the next run tell of a step once more.
            if abs(step) > STEP and all(abs(step - by) > STEP for by in [sum(told), *told]):
                yield before, after

    def _true(self, told: ToldStep) -> TrueStep | None:
        if told.passed < -_EXACT or not (
            told.begin >= told.before + min(told.by, 0) - SECOND
            and told.end <= told.before + told.passed + max(told.by, 0) + SECOND
        ):
            return None
        # Two of the clock's offsets may be close to each other: the nearest is meant.
        possible = [
            (misfit, since)
            for offset in {round(row.offset, -6) for row in self._rows}
            for since in (told.before - offset, told.after - offset - told.passed)
            if self._is_done(told, since) and (misfit := self._misfit(told, since)) is not None
        ]
        since = min(possible)[1] if possible else None
        return None if since is None else TrueStep(told, since, since + told.passed)

    def _is_done(self, told: ToldStep, since: int) -> bool:
        at = bisect_left(self._done, since - _NOTED)
        return at < len(self._done) and self._done[at] <= since + told.passed + _NOTED

    def _misfit(self, told: ToldStep, since: int) -> int | None:
        """How far the rows on both sides are from showing this very step; None: they do not. Where
        the clock was stepped more than once between two rows, one side has to fit."""
        until = since + told.passed
        between = self._rows[
            bisect_right(self._at, since + _LOOKED) : bisect_left(self._at, until - _EXACT)
        ]
        if any(row.run_id != self._damaged_before(told.event) for row in between):
            # Whoever stored a frame in between had looked.
            return None
        left = bisect_right(self._at, since + _EXACT) - 1
        right = bisect_left(self._at, until - _EXACT)
        offset = told.before - since
        sides = [
            (self._rows[max(0, left - _NEAR) : left + 1], offset),
            (self._rows[right : right + _NEAR], offset + told.by),
        ]
        misfits = [min(abs(row.offset - shown) for row in rows) for rows, shown in sides if rows]
        fitting = [misfit for misfit in misfits if misfit < STEP]
        begin = self._at[left] if left >= 0 else since
        end = self._at[right] if right < len(self._at) else until
        steps = [at for at in self._done if begin - _NOTED <= at <= end + _NOTED]
        is_enough = bool(fitting) and (len(steps) > 1 or len(fitting) == len(misfits))
        return sum(min(misfit, STEP) for misfit in misfits) if is_enough else None

    def _damaged_before(self, event: Event) -> str | None:
        """The run before, if its spool was damaged: its last frames were loaded before that, and
        the event only knows what was left."""
        before = event.detail.get("after_run")
        torn = {
            other.detail.get("run_id")
            for other in self._evidence.events
            if other.kind == StreamEventKind.SPOOL_TORN
        }
        return before if before in torn else None

    def _was_cut_off(self, before: Stored, after: Stored) -> bool:
        """Whether the record tells that the spool was damaged just there, and the chaos did it:
        then the event may be gone."""
        faults = self._evidence.faults
        if not any(f.kind is Kind.SPOOL_TRUNCATED and f.begin >= before.monotonic for f in faults):
            return False
        for event in self._evidence.events:
            if event.kind != StreamEventKind.SPOOL_TORN:
                continue
            torn, number = event.detail.get("run_id"), event.detail.get("next_seq")
            # Without a number it is a torn tail.
            behind = torn == before.run_id and (number is None or int(number) > before.seq)
            ahead = torn == after.run_id and number is not None and int(number) <= after.seq
            if (behind and ahead) or (before.run_id != after.run_id and (behind or ahead)):
                return True
        return False


def _meet(step: TrueStep, before: Stored, after: Stored) -> bool:
    return step.since <= after.monotonic + _EXACT and step.until >= before.monotonic - _EXACT


def _told(event: Event) -> ToldStep | None:
    """None: it does not say what it has to."""
    try:
        before, after, begin, end = (
            _nanoseconds(event.detail[name]) for name in ("before", "after", "begin", "end")
        )
        return ToldStep(event, before, after, begin, end, int(event.detail["step_ms"]) * 1_000_000)
    except (KeyError, TypeError, ValueError):
        return None


def _nanoseconds(instant: object) -> int:
    return round(datetime.fromisoformat(str(instant)).timestamp() * 1e6) * 1000
