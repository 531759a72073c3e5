"""The streamer as a real process, against a real gateway supervisor, simulator and ClickHouse."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ib_platform.config import ClickHouse, PaperUser, PlatformConfig
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.paths import PodPaths
from ib_platform.states import ContractState, PodState
from ib_platform.streamer.app import reconnect_pause
from ib_platform_tests.pod_processes import PodProcess, health_of, http_get, running, write_config
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.app_bench import (
    CL,
    ES,
    Content,
    assign,
    assign_on_disk,
    config_for,
    event_kinds,
    query,
    records_of,
    stored_events,
    streaming,
)
from ib_platform_tests.support import wait_until

MOST_RESIDENT = 120 * 1024**2


@pytest.fixture
def config(tmp_path: Path, warehouse: ClickHouse) -> PlatformConfig:
    return config_for(tmp_path, warehouse)


@pytest.fixture
def user(config: PlatformConfig) -> PaperUser:
    return config.paper_user("alpha")


@pytest.fixture
def file(config: PlatformConfig, tmp_path: Path) -> Path:
    return write_config(config, tmp_path)


@pytest.fixture
def gateway(file: Path) -> Iterator[PodProcess]:
    with running("gateway", file) as process:
        yield process


def test_every_frame_is_stored_and_the_run_ends_cleanly(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    settings = config.clickhouse
    assign(settings)
    with running("stream", file) as streamer:
        health = streaming(user, streamer, frames=20)
        assert health.assignment_source == "clickhouse"
        assert {c.state for c in health.contracts.values()} <= {
            ContractState.LIVE,
            ContractState.WARMING_UP,
        }
        assert all(c.epoch == 1 and c.crossed == 0 for c in health.contracts.values())
        assert http_get(user.health_port, "/ready") == (200, b"ok\n")
        assert http_get(user.health_port, "/stop") == (404, b"404: Not Found")
        assert health.loader.last_error is None
        assert health.frames.stored > 0
        resident = psutil.Process(streamer.pid).memory_info().rss
        assert streamer.stop() == 0
    assert "Traceback" not in streamer.output()
    print(f"streamer resident: {resident / 1024**2:.0f} MB")
    assert resident < MOST_RESIDENT
    events = stored_events(settings, health.run_id)
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "run_started"
    assert events[0]["detail"]["source"] == "simulated"
    assert kinds[-1] == "run_stopped"
    balance = events[-1]["detail"]
    assert balance["received"] == balance["spooled"] > 40
    ((count, last),) = query(
        settings, f"SELECT count(), max(seq) FROM frames WHERE run_id = '{health.run_id}'"
    )
    assert (count, last) == (balance["spooled"], balance["spooled"] - 1)
    asked = [e["contract"] for e in events if e["detail"].get("topic") == "sbd"]
    assert asked == [CL, ES]
    assert [e["detail"]["topic"] for e in events if e["kind"] == "unsubscribed"] == [
        "ubd",
        "ubd",
        "umd",
        "umd",
    ]
    assert "disconnected" not in kinds
    rows = query(settings, "SELECT contract, conid, symbol FROM contracts FINAL ORDER BY contract")
    assert rows == [
        (CL, health.contracts[CL].conid, "CL"),
        (ES, health.contracts[ES].conid, "ES"),
    ]
    facts = query(
        settings,
        "SELECT toString(tick), multiplier, length(schedule_dates), schedule_known_at IS NOT NULL "
        "FROM contracts FINAL ORDER BY contract",
    )
    assert facts == [("0.01", 1000.0, 6, True), ("0.25", 50.0, 6, True)]
    ((beats, user_name),) = query(settings, "SELECT count(), any(paper_user) FROM heartbeats")
    assert beats > 0
    assert user_name == "alpha"


def test_a_killed_streamer_loses_nothing_and_the_next_run_loads_it(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    assign(config.clickhouse)
    with running("stream", file) as first:
        killed_run = streaming(user, first, frames=10).run_id
        first.stop(signal.SIGKILL)
    with running("stream", file, name="second") as second:
        health = streaming(user, second)
        assert health.run_id != killed_run

        def recovered() -> list[object]:
            return query(
                config.clickhouse,
                "SELECT 1 FROM stream_events WHERE kind = 'run_recovered' "
                f"AND detail LIKE '%{killed_run}%'",
            )

        wait_until(recovered, "the recovery of the killed run")
        assert second.stop() == 0
        assert "Traceback" not in first.output() + second.output()
    ((count, distinct, last),) = query(
        config.clickhouse,
        f"SELECT count(), uniqExact(seq), max(seq) FROM frames WHERE run_id = '{killed_run}'",
    )
    assert count == distinct == last + 1 >= 20


def test_a_killed_gateway_is_a_disconnect_with_its_cause_and_a_new_epoch(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    assign(config.clickhouse)
    with running("stream", file) as streamer:
        streaming(user, streamer)
        supervisor = health_of(user.gateway_health_port, GatewayHealth)
        assert supervisor is not None
        assert supervisor.program_pid is not None
        psutil.Process(supervisor.program_pid).kill()

        def streams_again() -> StreamerHealth | None:
            health = health_of(user.health_port, StreamerHealth)
            if health is None or health.state is not PodState.STREAMING:
                return None
            return health if all(c.epoch == 2 for c in health.contracts.values()) else None

        health = wait_until(streams_again, "streaming in a second epoch", timeout=90)
        assert health is not None
        assert streamer.stop() == 0
    events = stored_events(config.clickhouse, health.run_id)
    ends = [(e["kind"], e["cause"]) for e in events if e["kind"] == "disconnected"]
    assert ends == [("disconnected", "gateway_died")]
    assert sum(e["kind"] == "connected" for e in events) == 2
    assert sum(e["detail"].get("topic") == "sbd" for e in events) == 4


def test_a_changed_assignment_is_followed_without_a_reconnect(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    assign(config.clickhouse, Content((CL, ES)))
    with running("stream", file) as streamer:
        streaming(user, streamer)
        assign(config.clickhouse, Content((ES,), content_hash=2))

        def followed() -> StreamerHealth | None:
            health = health_of(user.health_port, StreamerHealth)
            return health if health and health.contracts[ES].epoch == 2 else None

        health = wait_until(followed, "the new assignment")
        assert health is not None
        assert health.assignment_generation == 2
        assert health.contracts[CL].state is ContractState.NOT_ASSIGNED
        assert streamer.stop() == 0
    kinds = [e["kind"] for e in stored_events(config.clickhouse, health.run_id)]
    assert kinds.count("connected") == 1


def test_without_an_assignment_it_waits_and_says_what_to_do(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    with running("stream", file) as streamer:

        def waits() -> bool:
            health = health_of(user.health_port, StreamerHealth)
            return health is not None and "ib-platform rebalance" in health.reason

        wait_until(waits, "the reason")
        assert http_get(user.health_port, "/ready") == (503, b"no\n")
        assert streamer.stop() == 0


def test_a_second_streamer_of_the_same_paper_user_is_refused(
    config: PlatformConfig, user: PaperUser, file: Path, gateway: PodProcess
) -> None:
    assign(config.clickhouse)
    with running("stream", file) as streamer:
        streaming(user, streamer)
        with running("stream", file, name="second") as second:
            assert second.process.wait(60) == 9
            assert f"owned by process {streamer.pid}" in second.output()
        assert health_of(user.health_port, StreamerHealth) is not None
        assert streamer.stop() == 0


def test_streaming_goes_on_while_clickhouse_is_away_with_the_assignment_of_the_disk(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text("x")
    away = ClickHouse(port=free_port(), password_file=tmp_path / "password")
    config = config_for(tmp_path, away, shutdown_deadline=1)
    assign_on_disk(config, CL)
    user, file = config.paper_user("alpha"), write_config(config, tmp_path)
    with running("gateway", file), running("stream", file) as streamer:
        health = streaming(user, streamer, frames=10)
        assert (health.assignment_source, health.assignment_generation) == ("disk", 1)
        assert health.frames.stored == 0
        assert health.loader.last_error is not None
        assert streamer.stop() == 0
        assert "stay in the spool" in streamer.output()
    frames = [r for r in records_of(config) if r.kind == 1]
    assert [r.number for r in frames] == list(range(len(frames)))
    assert len(frames) > 10
    assert event_kinds(config)["run_stopped"] == 1


def test_it_stops_while_it_waits_for_the_gateway(
    config: PlatformConfig, user: PaperUser, file: Path
) -> None:
    with running("stream", file) as streamer:

        def down() -> bool:
            health = health_of(user.health_port, StreamerHealth)
            return health is not None and health.state is PodState.DOWN

        wait_until(down, "the state DOWN")
        assert streamer.stop(signal.SIGINT) == 0
    assert not (PodPaths(config.runtime.state_dir, "alpha").spool / "spool.pid").exists()


def test_the_streamer_never_imports_dagster() -> None:
    program = (
        "import sys, ib_platform.streamer.app, ib_platform.gateway.supervisor;"
        "bad = [m for m in sys.modules if m.partition('.')[0].startswith('dagster')];"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_pauses_between_connections_double_up_to_a_cap_and_are_jittered() -> None:
    assert [reconnect_pause(n, 1.0) for n in (0, 1, 2, 3, 99)] == [0.5, 1, 2, 4, 15]
    assert reconnect_pause(2, 0.0) == 1
