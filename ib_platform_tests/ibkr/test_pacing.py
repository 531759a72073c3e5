"""Request limits: pure instants, the file that programs share, and the share of one program."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.ibkr.pacing import INTERVALS, TICKLE, VALIDATE, Pace, PenaltyError
from ib_platform.ibkr.pacing_ledger import PROBE_LEASE, Ledger, Penalty, due_in
from ib_platform_tests.ibkr.watch import Watch

# Eighths of a second: sums of them are exact.
SECONDS = st.integers(0, 10**9).map(lambda eighths: eighths / 8)
INTERVAL = st.integers(0, 800).map(lambda eighths: eighths / 8)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def _pace(watch: Watch, ledger: Path | None = None, share: int = 4) -> Pace:
    return Pace(ledger, share=share, clock=watch, wall=watch, sleep=watch.sleep)


async def _call(pace: Pace, path: str) -> None:
    async with pace.turn(path):
        pass


@given(last=SECONDS, now=SECONDS, interval=INTERVAL)
def test_after_the_pause_a_call_is_due(last: float, now: float, interval: float) -> None:
    pause = due_in(last, interval, now)
    assert 0 <= pause <= interval
    if last <= now:
        assert due_in(last, interval, now + pause) == 0


@given(now=SECONDS)
def test_what_was_never_called_or_before_a_new_start_is_due(now: float) -> None:
    assert due_in(None, 61, now) == 0
    assert due_in(now + 1, 61, now) == 0


@pytest.mark.parametrize("path", list(INTERVALS))
async def test_a_limited_path_waits_for_its_interval(watch: Watch, path: str) -> None:
    pace = _pace(watch)
    assert pace.due_in(path) == 0
    await _call(pace, path)
    assert pace.due_in(path) == pytest.approx(INTERVALS[path])
    began = watch.now
    await _call(pace, path)
    assert watch.now - began == pytest.approx(INTERVALS[path])


async def test_limits_are_kept_path_by_path(watch: Watch) -> None:
    pace = _pace(watch)
    for path in (TICKLE, VALIDATE, "/trsrv/futures", "/one/user"):
        await _call(pace, path)
    assert watch.slept == []
    assert pace.due_in("/trsrv/futures") == 0


async def test_programs_share_the_limits_through_the_ledger(watch: Watch, tmp_path: Path) -> None:
    ledger = tmp_path / "pods" / "alpha" / "pacing.json"
    supervisor, streamer = _pace(watch, ledger), _pace(watch, ledger)
    await _call(supervisor, VALIDATE)
    assert streamer.due_in(VALIDATE) == pytest.approx(INTERVALS[VALIDATE])
    await _call(streamer, TICKLE)
    await _call(supervisor, TICKLE)
    assert sum(watch.slept) == pytest.approx(INTERVALS[TICKLE])
    started_again = _pace(watch, ledger)
    assert started_again.due_in(VALIDATE) == pytest.approx(INTERVALS[VALIDATE] - INTERVALS[TICKLE])


async def test_the_interval_begins_when_the_answer_came(watch: Watch) -> None:
    """A slow call may have arrived late: the next one must not arrive too soon after it."""
    pace = _pace(watch)
    async with pace.turn(TICKLE):
        watch.now += 5
    assert pace.due_in(TICKLE) == pytest.approx(INTERVALS[TICKLE])


async def test_a_failed_call_counts_too(watch: Watch) -> None:
    pace = _pace(watch)
    with pytest.raises(OSError, match="refused"):
        async with pace.turn(VALIDATE):
            raise OSError("refused")
    assert pace.due_in(VALIDATE) > 60


@given(share=st.integers(1, 9), calls=st.integers(1, 60))
def test_no_second_sees_more_calls_than_the_share(share: int, calls: int) -> None:
    watch = Watch()
    made: list[float] = []

    async def run() -> None:
        pace = _pace(watch, share=share)
        for _ in range(calls):
            async with pace.turn("/trsrv/futures"):
                made.append(watch.now)

    asyncio.run(run())
    assert all(sum(at <= other < at + 1 for other in made) <= share for at in made)


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b'{"/tickle":"soon"}', b"\xff"])
async def test_a_damaged_ledger_is_an_empty_one(
    watch: Watch, tmp_path: Path, content: bytes
) -> None:
    ledger = tmp_path / "pacing.json"
    ledger.write_bytes(content)
    pace = _pace(watch, ledger)
    await _call(pace, TICKLE)
    assert watch.slept == []
    assert _pace(watch, ledger).due_in(TICKLE) > 0, "it was written anew"


async def test_without_a_writable_folder_a_program_remembers_its_own_calls(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    pace = _pace(watch, tmp_path / "file" / "pacing.json")
    await _call(pace, VALIDATE)
    assert pace.due_in(VALIDATE) == pytest.approx(INTERVALS[VALIDATE])


def test_the_ledger_leaves_no_other_files(watch: Watch, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "pacing.json", watch, watch)
    for _ in range(3):
        ledger.take(TICKLE)
        ledger.answered(TICKLE)
    assert {file.name for file in tmp_path.iterdir()} <= {"pacing.json", "pacing.json.lock"}


_TAKER = """
import sys
from pathlib import Path
from ib_platform.ibkr.pacing_ledger import VALIDATE, Ledger
import time
print(Ledger(Path(sys.argv[1]), time.monotonic, time.time).take(VALIDATE) == 0)
"""


def test_of_several_processes_one_gets_the_call(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _TAKER, str(tmp_path / "pacing.json")]
    takers = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [taker.communicate(timeout=60)[0].strip() for taker in takers]
    assert sorted(answers) == ["False", "False", "False", "True"]


async def test_a_refused_call_pauses_every_program_of_the_pod(watch: Watch, tmp_path: Path) -> None:
    ledger = tmp_path / "pacing.json"
    supervisor, streamer = _pace(watch, ledger), _pace(watch, ledger)
    streamer.penalised()
    assert supervisor.penalty_left() == 900
    assert supervisor.penalty_until == watch.now + 900
    for pace in (supervisor, streamer, _pace(watch, ledger)):
        with pytest.raises(PenaltyError, match="900 s more"):
            await _call(pace, "/trsrv/futures")
    watch.now += 899
    with pytest.raises(PenaltyError):
        await _call(supervisor, TICKLE)
    assert not supervisor.on_probation


async def test_a_call_that_waits_for_its_turn_is_not_made_when_a_penalty_begins(
    watch: Watch, tmp_path: Path
) -> None:
    ledger = tmp_path / "pacing.json"
    other = _pace(watch, ledger)

    async def sleep_while_another_program_is_refused(seconds: float) -> None:
        await watch.sleep(seconds)
        other.penalised()

    pace = Pace(ledger, clock=watch, wall=watch, sleep=sleep_while_another_program_is_refused)
    await _call(pace, TICKLE)
    with pytest.raises(PenaltyError):
        await _call(pace, TICKLE)


async def test_after_the_penalty_one_program_makes_the_first_call(
    watch: Watch, tmp_path: Path
) -> None:
    ledger = tmp_path / "pacing.json"
    supervisor, streamer = _pace(watch, ledger), _pace(watch, ledger)
    supervisor.penalised()
    watch.now += 900
    assert streamer.on_probation
    taken = streamer.take_probe()
    assert taken is not None
    assert supervisor.take_probe() is None
    streamer.probed(taken, forgiven=False)
    taken = supervisor.take_probe()
    assert taken is not None, "no answer came: it is free again"
    supervisor.probed(taken, forgiven=True)
    assert not streamer.on_probation
    assert streamer.penalty_until is None
    await _call(streamer, "/trsrv/futures")


def test_an_answer_that_comes_late_ends_no_newer_penalty(watch: Watch, tmp_path: Path) -> None:
    ledger = tmp_path / "pacing.json"
    supervisor, streamer = _pace(watch, ledger), _pace(watch, ledger)
    supervisor.penalised()
    assert streamer.take_probe() is None, "it is not over"
    watch.now += 900
    taken = streamer.take_probe()
    assert taken is not None
    supervisor.penalised()
    streamer.probed(taken, forgiven=True)
    assert streamer.penalty_left() == 900


def test_a_full_disk_makes_no_program_forget_a_penalty(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "pacing.json", watch, watch)
    ledger.take(TICKLE)

    def refuse(self: Path, target: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "replace", refuse)
        ledger.penalised()
        assert ledger.penalty_left() == 900
        ledger.take(VALIDATE)
        assert ledger.due_in(VALIDATE) > 60
    assert {file.name for file in tmp_path.iterdir()} <= {"pacing.json", "pacing.json.lock"}
    ledger.answered(TICKLE)
    assert Ledger(tmp_path / "pacing.json", watch, watch).penalty_left() == 900, "written later"


def test_a_program_that_died_in_its_first_call_does_not_hold_up_the_others(
    watch: Watch, tmp_path: Path
) -> None:
    died, alive = (_pace(watch, tmp_path / "pacing.json") for _ in range(2))
    died.penalised()
    watch.now += 900
    assert died.take_probe() is not None
    watch.now += PROBE_LEASE - 1
    assert alive.take_probe() is None
    watch.now += 1
    assert alive.take_probe() is not None


@given(until=SECONDS, wall=SECONDS)
def test_no_penalty_lasts_longer_than_the_pause(until: float, wall: float) -> None:
    """Also where somebody sets the clock back."""
    assert 0 <= Penalty(until).left(wall, 900.0) <= 900
