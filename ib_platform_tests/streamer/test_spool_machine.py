"""Spool and loader against a model, with crashes between any two steps. The engine is real.

The model knows which frames the spool has acknowledged, run by run. Whatever happens (kills at any
write, torn tails, a server that fails before or after it has stored, refused batches, kept segments
that expire or make room, drains in between): once everything is loaded, ClickHouse holds exactly
these frames, each once, every ladder and quote among them with its decoded row and no other, and
every run that died was recovered exactly once.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer import backlog as backlog_module
from ib_platform.streamer import quarantine as quarantine_module
from ib_platform.streamer.kept import KeptSegments
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.records import RecordKind, encode_record
from ib_platform.streamer.resend import Resender
from ib_platform.streamer.segments import list_segments
from ib_platform.streamer.sender import REFUSALS, Sender
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import connect
from ib_platform_tests.streamer.decoded import assert_decoded, delta_ladder, full_ladder, quote
from ib_platform_tests.streamer.spools import BASE_NS, open_spool, query, stop_merges

LIMITS = Limits(load_rows=4)
SEGMENT = 4096
SHAPES = st.sampled_from(["short", "long", "full", "delta", "quote"])
CONIDS = (1, 2)
PAYLOADS = st.lists(st.tuples(SHAPES, st.sampled_from(CONIDS)), min_size=1, max_size=6)


class Crash(BaseException):
    """The process dies here."""


class Steps:
    """The writes of a process. ``dies_in``: so many from now on it dies, None = not.
    ``fails``: what the next inserts do, False = it works."""

    def __init__(self) -> None:
        self.dies_in: int | None = None
        self.dies_after = False
        self.fails: list[str] = []

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            due = self.dies_in == 0
            if self.dies_in is not None:
                self.dies_in -= 1
            if due and not self.dies_after:
                raise Crash
            result = function(*arguments, **named)
            if due:
                raise Crash
            return result

        return stepped

    def wrap_insert(self, function: Callable[..., Any]) -> Callable[..., Any]:
        stepped = self.wrap(function)

        def insert(*arguments: Any, **named: Any) -> None:
            how = self.fails.pop() if self.fails else ""
            if how == "before":
                raise OSError("the connection was refused")
            if how == "refuse":
                raise DatabaseError("Code: 469. DB::Exception: forbidden. (VIOLATED_CONSTRAINT)")
            stepped(*arguments, **named)
            if how == "after":
                raise OSError("the answer got lost")

        return insert


@pytest.fixture(scope="module")
def steps() -> Iterator[Steps]:
    steps = Steps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "save_manifest", steps.wrap(backlog_module.save_manifest))
        patch.setattr(backlog_module, "set_aside", steps.wrap(backlog_module.set_aside))
        patch.setattr(quarantine_module, "_write", steps.wrap(quarantine_module._write))
        patch.setattr(KeptSegments, "keep", steps.wrap(KeptSegments.keep))
        patch.setattr(KeptSegments, "note_state", steps.wrap(KeptSegments.note_state))
        patch.setattr(Spool, "append_event", steps.wrap(Spool.append_event))
        patch.setattr(Sender, "_insert", steps.wrap_insert(Sender._insert))
        yield steps


class SpoolMachine(RuleBasedStateMachine):
    """One paper user's spool over many lives of its streamer."""

    warehouse: ClickHouse
    steps: Steps

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool_machine"))
        self.now = BASE_NS
        self.frames: dict[str, list[bytes]] = {}
        self.windows = dict.fromkeys(CONIDS, 0)
        self.opened: set[str] = set()
        self.stopped: set[str] = set()
        self.spool: Spool | None = None
        self.loader: Loader | None = None
        self.steps.dies_in, self.steps.fails = None, []

    @initialize()
    def begin(self) -> None:
        self.start()

    @precondition(lambda self: self.spool is None)
    @rule()
    def start(self) -> None:
        run_id = f"alpha-{self.folder.name.replace('_', '')}-{len(self.frames):04d}"
        self.frames[run_id] = []
        try:
            self.spool = open_spool(
                self.folder,
                run_id,
                SEGMENT,
                keep_loaded=60,
                clocks=Clocks(lambda: self.now, lambda: self.now),
            )
        except Crash:
            return
        self.opened.add(run_id)
        self.loader = Loader(
            self.spool,
            self.warehouse,
            LIMITS,
            rng=random.Random(1),
            pause=lambda seconds: None,
        )

    @precondition(lambda self: self.spool is not None)
    @rule(frames=PAYLOADS)
    def receive(self, frames: list[tuple[str, int]]) -> None:
        assert self.spool is not None
        known = self.frames[self.spool.run_id]
        for shape, conid in frames:
            self.now += 10**6
            payload = self.payload(shape, len(known), conid)
            self.spool.append_frame(self.now, self.now, 1, payload)
            known.append(payload)

    def payload(self, shape: str, number: int, conid: int) -> bytes:
        """A delta belongs to the newest window of any run, so it may be an orphan in its own."""
        assert self.spool is not None
        if shape == "full":
            self.windows[conid] = number
            return full_ladder(number, conid)
        if shape == "delta":
            return delta_ladder(number, self.windows[conid], conid)
        if shape == "quote":
            return quote(number, conid)
        size = 20 if shape == "short" else 1500
        return f"{self.spool.run_id} {number} ".encode().ljust(size, b".")

    @precondition(lambda self: self.spool is not None)
    @rule(batches=st.integers(1, 6))
    def load(self, batches: int) -> None:
        assert self.loader is not None
        try:
            for _ in range(batches):
                self.loader.progress.step()
        except Crash:
            self.die()

    @precondition(lambda self: self.spool is not None)
    @rule(minutes=st.sampled_from([0, 2]))
    def time_passes(self, minutes: int) -> None:
        assert self.spool is not None
        self.now += minutes * 60 * 10**9
        with contextlib.suppress(Crash):
            self.spool.sync()
            self.spool.room.measure()

    @rule(dies_in=st.integers(0, 9), after=st.booleans())
    def will_die(self, dies_in: int, after: bool) -> None:
        self.steps.dies_in, self.steps.dies_after = dies_in, after

    @rule(how=st.sampled_from(["before", "after", "refuse"]))
    def server_fails(self, how: str) -> None:
        self.steps.fails = [how] * (REFUSALS if how == "refuse" else 1)

    @precondition(lambda self: self.spool is not None)
    @rule()
    def die(self) -> None:
        """SIGKILL: what was handed to the kernel stays, the lock goes, nothing is said."""
        assert self.spool is not None
        kill(self.spool)
        self.spool = self.loader = None

    @precondition(lambda self: self.spool is not None)
    @rule()
    def stop(self) -> None:
        assert self.spool is not None
        try:
            self.spool.append_event(StreamEventKind.RUN_STOPPED)
        except Crash:
            # Before or after it was written: both may be.
            self.stopped.discard(self.spool.run_id)
            self.opened.discard(self.spool.run_id)
            self.die()
            return
        self.stopped.add(self.spool.run_id)
        self.spool.close()
        self.spool = self.loader = None

    @precondition(lambda self: self.spool is None)
    @rule(length=st.integers(1, 60))
    def power_cut_in_a_write(self, length: int) -> None:
        """The last segment ends in the middle of a record that nobody was told of."""
        record = encode_record(RecordKind.FRAME, self.now, self.now, 10**6, 1, b"never seen" * 5)
        segments = list_segments(self.folder)
        if segments:
            with segments[-1].path.open("ab") as file:
                file.write(record[:length])

    def teardown(self) -> None:
        self.steps.dies_in, self.steps.fails = None, []
        if self.spool is not None:
            self.die()
        self.start()
        assert self.loader is not None
        assert self.spool is not None
        assert self.loader.drain()
        with closing(connect(self.warehouse, role="tests")) as client:
            resender = Resender(client, self.warehouse)
            list(resender.quarantine(self.folder, self.spool.clocks.utc()))
        assert self.loader.drain()
        self.spool.close()
        self.check()
        shutil.rmtree(self.folder)

    def check(self) -> None:
        runs = ", ".join(f"'{run}'" for run in self.frames)
        rows = query(
            self.warehouse,
            f"SELECT run_id, seq, payload FROM frames WHERE run_id IN ({runs}) ORDER BY ALL",
        )
        expected = sorted(
            (run, seq, payload.decode())
            for run, payloads in self.frames.items()
            for seq, payload in enumerate(payloads)
        )
        assert [(run, seq, _text(payload)) for run, seq, payload in rows] == expected
        assert_decoded(self.warehouse, self.frames)
        recovered = query(
            self.warehouse,
            "SELECT JSONExtractString(detail, 'run_id') FROM stream_events "
            f"WHERE kind = 'run_recovered' AND run_id IN ({runs})",
        )
        counts = Counter(run for (run,) in recovered)
        assert self.spool is not None
        died = self.opened - self.stopped - {self.spool.run_id}
        assert all(counts[run] == 1 for run in died), (counts, died)
        assert all(counts[run] <= 1 for run in self.frames), counts
        assert not self.stopped & set(counts)


def kill(spool: Spool) -> None:
    """The end of a process: the kernel closes its files and lets go of its locks."""
    spool._group.close()
    spool._folder_lock.release()


def _text(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode()


@pytest.mark.parametrize(
    "examples", [15, pytest.param(150, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_whatever_happens_each_frame_is_stored_once(
    warehouse: ClickHouse, steps: Steps, examples: int
) -> None:
    stop_merges(warehouse)
    machine = type("Machine", (SpoolMachine,), {"warehouse": warehouse, "steps": steps})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
