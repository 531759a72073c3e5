"""Failures of websockets and ladders: state, time to notice, cure, event and gap of each."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse
from ib_platform.simulator.fault_spec import FaultKind
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform_tests.failures.bench import TRADED, failure_bench
from ib_platform_tests.failures.document import note
from ib_platform_tests.failures.play import cases, play
from ib_platform_tests.failures.table import Failure
from ib_platform_tests.failures.table_of_streams import OF_STREAMS
from ib_platform_tests.figures import Figures
from ib_platform_tests.streamer.app_bench import CL, ES, query

LIVELY = replace(TRADED, market=MarketParameters(quiet_rate=5))
"""A market whose natural pauses stay far below the silence that is noticed."""


@pytest.mark.parametrize("failure", cases(OF_STREAMS))
async def test_failure(
    failure: Failure, tmp_path: Path, warehouse: ClickHouse, figures: Figures
) -> None:
    async with failure_bench(tmp_path, warehouse, LIVELY, limits=dict(failure.limits)) as bench:
        played = await play(bench, failure)
    figures(f"{failure.what}: {played}")
    note(failure.name, str(played))


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_quotes_that_ended_come_again(
    tmp_path: Path, warehouse: ClickHouse, figures: Figures
) -> None:
    """In real time: the streamer does not know of their end, it renews them in time anyway."""
    async with failure_bench(tmp_path, warehouse, LIVELY) as bench:
        began = time.monotonic()
        bench.inject(FaultKind.QUOTES_EXPIRED)
        what = (
            "SELECT DISTINCT JSONExtractString(detail, 'contract') FROM stream_events "
            "WHERE kind = 'subscribe_requested' AND JSONExtractString(detail, 'why') = 'renewal'"
        )

        def renewed() -> bool:
            return {key for (key,) in query(warehouse, what)} == {CL, ES}

        await bench.until(renewed, "the renewal of both quotes", 900)
        figures(f"quotes of both contracts asked for again after {time.monotonic() - began:.0f} s")
        _, _, gaps = await bench.end()
        assert gaps == []
