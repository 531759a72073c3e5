"""A pod that never gets in: both processes, a real browser, and a gap that says why."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.states import Cause, PodState
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.compact import build_open_date
from ib_platform.warehouse.connect import connect
from ib_platform_tests.failures.supervision import with_credentials
from ib_platform_tests.pod_processes import health_of, running, write_config
from ib_platform_tests.streamer.app_bench import CL, ES, Content, query
from ib_platform_tests.support import make_config, wait_until

SCENARIO = """name: drill
description: the page asks a paper user for a second factor
at_ibkr: never
behaviour: {login_page: {second_factor_for_paper: totp}}
"""


def test_its_gap_begins_when_the_contracts_are_due(
    tmp_path: Path,
    warehouse: ClickHouse,
) -> None:
    """A locked pod runs no gateway program: that is no gateway that died."""
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    simulator = {"logged_in": False, "scenario": str(tmp_path / "scenario.yaml")}
    config = with_credentials(
        make_config(tmp_path, clickhouse=warehouse.model_dump(), gateway={"simulator": simulator}),
        tmp_path,
    )
    with closing(connect(warehouse)) as client:
        write_assignment(client, Content((CL, ES)), grace=0)
    user, file = config.paper_user("alpha"), write_config(config, tmp_path)
    with running("stream", file) as streamer, running("gateway", file) as gateway:

        def locked() -> bool:
            health = health_of(user.gateway_health_port, GatewayHealth)
            ended = health is not None and health.program_pid is None
            return ended and health is not None and health.state is PodState.LOCKED

        wait_until(locked, "the lock, and the end of the gateway program", 120)

        def streamer_knows() -> str | None:
            health = health_of(user.health_port, StreamerHealth)
            knows = health is not None and health.state is PodState.LOCKED
            return health.reason if health is not None and knows else None

        reason = wait_until(streamer_knows, "the lock in the streamer's words")
        assert reason is not None
        assert "second factor" in reason
        assert streamer.stop() == 0
        assert gateway.stop() == 0
    assert _gaps_of_today(warehouse, config) == {
        (CL, Cause.SESSION_LOST.value),
        (ES, Cause.SESSION_LOST.value),
    }
    ((told,),) = query(
        warehouse,
        "SELECT detail FROM stream_events WHERE kind = 'session_changed' "
        "ORDER BY event_no DESC LIMIT 1",
    )
    assert PodState.LOCKED.value in told


def _gaps_of_today(warehouse: ClickHouse, config: PlatformConfig) -> set[tuple[str, str]]:
    with closing(connect(warehouse)) as client:
        build_open_date(client, config, trade_date_of(datetime.now(UTC)))
        return {
            (key, cause)
            for key, cause in client.query("SELECT contract, cause FROM gaps").result_rows
        }
