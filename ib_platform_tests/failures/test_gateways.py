"""Failures of the gateway and of IBKR's servers: state, time to notice, cure, event, gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config import ClickHouse
from ib_platform_tests.failures.bench import failure_bench
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
    figures(f"{failure.what}: {played}")
    note(failure.name, str(played))
