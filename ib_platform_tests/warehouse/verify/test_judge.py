"""The judgement of one run, as properties over any loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import Cause
from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.verify.account import Damage, Lost, RunAccount, RunEnd
from ib_platform.warehouse.verify.evidence import Mark, SpooledRun, StoredRun
from ib_platform.warehouse.verify.findings import Kind, RunProof, Standing, total_of
from ib_platform.warehouse.verify.judge import judge_run
from ib_platform_tests.support import PATIENT

ALL = Span(0, 10**12)
NOTHING = SpooledRun()


def ranges_of(numbers: Iterable[int]) -> tuple[Span, ...]:
    """Plain twin of the range algebra."""
    ranges: list[Span] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1].end == number:
            ranges[-1] = Span(ranges[-1].begin, number + 1)
        else:
            ranges.append(Span(number, number + 1))
    return tuple(ranges)


def stored_run(numbers: set[int], rows: int | None = None) -> StoredRun:
    """As the reader would tell; frame n has the instant n."""
    if not numbers:
        return StoredRun()
    low, high = min(numbers), max(numbers)
    holes = ranges_of(set(range(low, high)) - numbers)
    return StoredRun(
        rows=len(numbers) if rows is None else rows,
        frames=len(numbers),
        lowest=Mark(low, low),
        highest=Mark(high, high),
        holes=holes,
        missing=sum(end - begin for begin, end in holes),
    )


def account(frames: int, *, lost: int = 0, stopped: bool = True) -> RunAccount:
    """A run of so many numbers that ended."""
    end = RunEnd(frames, stopped, frames, frames + lost, frames, lost)
    losses = [Lost(frames, lost, Cause.DISK_FULL)] if lost else []
    return RunAccount("r", "alpha", 0, end, losses)


@dataclass(frozen=True)
class Story:
    """What became of the numbers of a run."""

    frames: int
    stored: set[int]
    damaged: set[int]
    pending: set[int]
    lost: int

    @property
    def gone(self) -> set[int]:
        return set(range(self.frames)) - self.stored - self.damaged - self.pending


@st.composite
def stories(draw: st.DrawFn) -> Story:
    fates = draw(st.lists(st.sampled_from("ssssdpg"), max_size=40))
    by = {fate: {n for n, f in enumerate(fates) if f == fate} for fate in "sdpg"}
    return Story(len(fates), by["s"], by["d"], by["p"], draw(st.integers(0, 5)))


def judged(story: Story) -> RunProof:
    known = account(story.frames, lost=story.lost)
    known.damages += [Damage(0, begin, end) for begin, end in ranges_of(story.damaged)]
    spooled = SpooledRun(not_loaded=ranges_of(story.pending))
    return judge_run(known, stored_run(story.stored), spooled, ALL, None)


@PATIENT
@given(stories())
def test_received_is_stored_plus_lost_with_cause_plus_what_is_named(story: Story) -> None:
    balance = judged(story).balance
    assert balance.received == story.frames + story.lost
    assert balance.spooled == story.frames
    assert balance.stored == len(story.stored)
    assert balance.explained == len(story.damaged) + story.lost
    assert balance.pending == len(story.pending)
    assert balance.unexplained == len(story.gone)
    assert balance.unknown == 0


@PATIENT
@given(stories())
def test_it_fails_exactly_when_a_frame_went_without_a_cause(story: Story) -> None:
    failed = [f for f in judged(story).findings if f.standing is Standing.UNEXPLAINED]
    assert bool(failed) == bool(story.gone)
    assert sum(f.frames or 0 for f in failed) == len(story.gone)


@PATIENT
@given(stories())
def test_every_frame_of_a_finding_is_in_the_balance(story: Story) -> None:
    proof = judged(story)
    for standing in (Standing.EXPLAINED, Standing.PENDING, Standing.UNEXPLAINED):
        told = sum(f.frames or 0 for f in proof.findings if f.standing is standing)
        assert told == getattr(proof.balance, standing.value)


@PATIENT
@given(st.sets(st.integers(0, 30)), st.integers(0, 5))
def test_repeated_rows_never_fail(numbers: set[int], more: int) -> None:
    stored = stored_run(numbers, len(numbers) + more)
    end = max(numbers, default=-1) + 1
    known = account(end)
    known.damages += [Damage(0, b, e) for b, e in ranges_of(set(range(end)) - numbers)]
    proof = judge_run(known, stored, NOTHING, ALL, None)
    assert proof.balance.repeated == (more if numbers else 0)
    assert not [f for f in proof.findings if f.standing is Standing.UNEXPLAINED]


def test_acknowledged_records_that_are_not_stored_fail_even_without_an_end() -> None:
    known = RunAccount("r", "alpha", 0)
    spooled = SpooledRun(not_loaded=(Span(8, 10),), acknowledged=(Span(5, 8),))
    proof = judge_run(known, stored_run({0, 1, 2, 3, 4}), spooled, ALL, None)
    (finding,) = [f for f in proof.findings if f.standing is Standing.UNEXPLAINED]
    assert (finding.kind, finding.frames) == (Kind.MISSING, 3)
    assert "still in the spool" in (finding.remedy or "")
    assert (proof.balance.received, proof.balance.pending) == (10, 2)


def test_other_bytes_than_in_the_spool_fail() -> None:
    spooled = SpooledRun(different=2, different_examples=(3, 4))
    proof = judge_run(account(5), stored_run(set(range(5))), spooled, ALL, None)
    (finding,) = proof.findings
    assert (finding.kind, finding.standing) == (Kind.DIFFERENT, Standing.UNEXPLAINED)
    assert finding.text.endswith(": 3, 4")


def test_damage_without_its_place_makes_holes_unknown() -> None:
    known = account(5)
    known.damages.append(Damage(0, None, None))
    proof = judge_run(known, stored_run({0, 1, 4}), NOTHING, ALL, None)
    (finding,) = proof.findings
    assert (finding.kind, finding.standing, finding.frames) == (Kind.MISSING, Standing.UNKNOWN, 2)
    assert "not which numbers" in finding.text
    assert (proof.balance.unknown, proof.balance.unexplained) == (2, 0)


def test_damage_that_took_an_unknown_number_of_frames() -> None:
    known = account(3, stopped=False)
    known.damages.append(Damage(0, 3, None))
    proof = judge_run(known, stored_run({0, 1, 2}), NOTHING, ALL, None)
    (finding,) = proof.findings
    assert (finding.kind, finding.standing, finding.frames) == (
        Kind.DAMAGED,
        Standing.EXPLAINED,
        None,
    )


def test_more_holes_than_are_listed_are_counted() -> None:
    stored = StoredRun(50, 50, 0, Mark(0, 0), Mark(99, 99), holes=(Span(1, 3),), missing=50)
    proof = judge_run(account(100), stored, NOTHING, ALL, None)
    (finding,) = proof.findings
    assert finding.frames == 50
    assert finding.text == "not stored: seq 1 to 2 and 48 more"


def test_many_ranges_stay_one_line() -> None:
    stored = stored_run(set(range(0, 1000, 2)))
    proof = judge_run(account(1000), stored, NOTHING, ALL, None)
    (finding,) = proof.findings
    assert finding.text == "not stored: seq 1, 3, 5, 7, 9 and 495 more ranges"


def test_a_loss_without_a_number_is_unknown() -> None:
    known = RunAccount("r", "alpha", 0, None, [Lost(1, None, "disk_full")])
    proof = judge_run(known, stored_run({0}), NOTHING, ALL, None)
    assert (Kind.LOST, Standing.UNKNOWN) in {(f.kind, f.standing) for f in proof.findings}
    assert proof.balance.received == 1


def test_a_death_whose_recovery_tells_no_end() -> None:
    known = RunAccount("r", "alpha", 0, RunEnd(9, False, None))
    proof = judge_run(known, stored_run({0, 1}), NOTHING, ALL, None)
    assert [(f.kind, f.standing) for f in proof.findings] == [(Kind.NO_END, Standing.UNKNOWN)]


def test_totals_that_contradict_the_numbers() -> None:
    known = RunAccount("r", "alpha", 0, RunEnd(9, True, 10, 9, 9, 0))
    proof = judge_run(known, stored_run(set(range(10))), NOTHING, ALL, None)
    assert [(f.kind, f.standing) for f in proof.findings] == [(Kind.BALANCE, Standing.UNEXPLAINED)]


@PATIENT
@given(st.lists(stories(), max_size=4))
def test_a_total_is_the_sum(many: list[Story]) -> None:
    total = total_of(judged(story).balance for story in many)
    assert total.received == sum(story.frames + story.lost for story in many)
    parts = (total.stored, total.explained, total.pending, total.unknown, total.unexplained)
    assert total.received == sum(parts)
