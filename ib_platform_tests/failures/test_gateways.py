"""Failures of the gateway and of IBKR's servers: state, time to notice, cure, event, gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config import ClickHouse
from ib_platform.simulator.fault_spec import FaultKind
from ib_platform_tests.failures.bench import PENALTY_PAUSE, failure_bench
from ib_platform_tests.failures.document import note
from ib_platform_tests.failures.play import cases, play
from ib_platform_tests.failures.table import OF_GATEWAYS, Failure
from ib_platform_tests.figures import Figures


@pytest.mark.parametrize("failure", cases(OF_GATEWAYS))
async def test_failure(
    failure: Failure, tmp_path: Path, warehouse: ClickHouse, figures: Figures
) -> None:
    async with failure_bench(tmp_path, warehouse) as bench:
        played = await play(bench, failure)
        if failure.fault is FaultKind.PENALTY_BOX:
            _check_pause(bench.requests.seen)
    figures(f"{failure.what}: {played}")
    note(failure.name, str(played))


def _check_pause(seen: list[tuple[float, str, bool]]) -> None:
    """Row 9: after the first 429 neither program asks anything for the pause, but for a call of the
    other one that was under way; the first call afterwards is one tickle."""
    refused = [at for at, _, allowed in seen if not allowed]
    assert 1 <= len(refused) <= 2
    after = [(at, path) for at, path, _ in seen if at > refused[-1]]
    assert after[0][1].endswith("/tickle")
    assert after[0][0] - refused[-1] >= PENALTY_PAUSE - 1
