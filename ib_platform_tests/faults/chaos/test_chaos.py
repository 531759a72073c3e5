"""A short run of the chaos test: every kind of fault once. The long one is `make chaos SEED=n`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ib_platform_tests.faults.chaos.evidence import Evidence
from ib_platform_tests.faults.chaos.judge import judge
from ib_platform_tests.faults.chaos.run import EVIDENCE, run
from ib_platform_tests.faults.chaos.schedule import SHORT, Kind

NEED_RIGHTS = {Kind.DISK_FULL, Kind.CLOCK_STEP}


@pytest.mark.timeout(900)
def test_the_promise_holds_through_every_kind_of_fault(tmp_path: Path) -> None:
    said: list[str] = []
    verdict, faults = run(tmp_path, seed=2, plan=SHORT, say=said.append)
    assert verdict.violations == [], "\n".join([*said, verdict.line(2, faults)])
    assert faults >= len(SHORT.kinds) - 2
    evidence = msgspec.json.decode((tmp_path / EVIDENCE).read_bytes(), type=Evidence)
    assert judge(evidence) == verdict
    assert {fault.kind for fault in evidence.faults} >= set(SHORT.kinds) - NEED_RIGHTS
    assert len({row.run_id for row in evidence.stored}) >= 2
    assert {row.topic for row in evidence.stored} >= {"system", "sbd", "smd"}
    assert len({event.run_id for event in evidence.events if event.kind == "run_recovered"}) >= 1
    assert verdict.lost["streamer_died"] > 0
    # Most of the time nothing is wrong; what a fault takes is the exception.
    assert verdict.stored > verdict.lost.total()
