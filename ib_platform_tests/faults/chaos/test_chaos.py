"""A short run of the chaos test: every kind of fault once. The long one is `make chaos SEED=n`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform_tests.faults.chaos.run import run
from ib_platform_tests.faults.chaos.schedule import SHORT


@pytest.mark.timeout(900)
def test_the_promise_holds_through_every_kind_of_fault(tmp_path: Path) -> None:
    said: list[str] = []
    verdict, faults = run(tmp_path, seed=2, plan=SHORT, say=said.append)
    assert verdict.violations == [], "\n".join([*said, verdict.line(2, faults)])
    assert faults >= len(SHORT.kinds) - 2
    assert verdict.stored > 0
    assert verdict.sent == verdict.stored + verdict.lost.total()
