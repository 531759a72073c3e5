"""One run of the chaos test: a world, a schedule, a judgement.

``python -m ib_platform_tests.faults.chaos --seed N --minutes M``. The last line says what came of
it; the exit code is 0 if the promise held, else 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from ib_platform_tests.faults.chaos.evidence import Evidence
from ib_platform_tests.faults.chaos.gather import gather
from ib_platform_tests.faults.chaos.inject import Injector
from ib_platform_tests.faults.chaos.judge import Verdict, judge
from ib_platform_tests.faults.chaos.schedule import (
    NEEDS_A_SMALL_DISK,
    SHORT,
    Kind,
    Plan,
    long_plan,
    make_schedule,
)
from ib_platform_tests.faults.chaos.streamer import FAKETIME
from ib_platform_tests.faults.chaos.world import World, chaos_world
from ib_platform_tests.support import wait_until

Say = Callable[[str], None]
EVIDENCE = "evidence.json"
_PATIENCE = 300.0


def run(folder: Path, seed: int, plan: Plan, say: Say = print) -> tuple[Verdict, int]:
    """The verdict, and how many faults there were. Everything that was written is in ``folder``.

    Without root's rights there is no small disk, without Debian's faketime no false time: these
    kinds are then left out, and said.
    """
    with chaos_world(folder) as (world, is_small):
        kinds = _possible(plan.kinds, is_small, say)
        schedule = make_schedule(seed, replace(plan, kinds=kinds))
        injector = Injector(world, say)
        injector.run(schedule)
        say("the last fault is over")
        wait_until(lambda: _is_well(world), "everything to be loaded", _PATIENCE)
        asked_to_stop = time.monotonic_ns()
        code = world.streamer.end()
        say(f"the streamer has ended with {code}")
        evidence = gather(world, injector.done, asked_to_stop)
    (folder / EVIDENCE).write_bytes(msgspec.json.encode(evidence))
    return judge(evidence), len(schedule)


def _possible(kinds: Sequence[Kind], is_small: bool, say: Say) -> tuple[Kind, ...]:
    impossible = set() if is_small else set(NEEDS_A_SMALL_DISK)
    if FAKETIME is None:
        impossible.add(Kind.CLOCK_STEP)
    for kind in sorted(impossible):
        say(f"left out: {kind} (needs root's right to mount, or Debian's faketime)")
    return tuple(kind for kind in kinds if kind not in impossible)


def _is_well(world: World) -> bool:
    world.streamer.look()
    return world.is_loaded()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ib_platform_tests.faults.chaos")
    parser.add_argument("--seed", type=int, default=1, help="names the schedule")
    parser.add_argument("--minutes", type=float, default=14, help="how long faults come")
    parser.add_argument("--short", action="store_true", help="the schedule of `make test`")
    parser.add_argument("--folder", type=Path, help="an empty folder; it stays")
    parser.add_argument("--judge", type=Path, help="only judge this evidence.json once more")
    options = parser.parse_args(arguments)
    if options.judge is not None:
        evidence = msgspec.json.decode(options.judge.read_bytes(), type=Evidence)
        return _report(judge(evidence), options.seed, len(evidence.faults))
    plan = SHORT if options.short else long_plan(options.minutes)
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        return _report(*_seeded(run(options.folder, options.seed, plan), options.seed))
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return _report(*_seeded(run(Path(folder), options.seed, plan), options.seed))


def _seeded(done: tuple[Verdict, int], seed: int) -> tuple[Verdict, int, int]:
    return done[0], seed, done[1]


def _report(verdict: Verdict, seed: int, faults: int) -> int:
    for violation in verdict.violations[:50]:
        print(violation)
    print(verdict.line(seed, faults), flush=True)
    return 0 if verdict.held else 1
