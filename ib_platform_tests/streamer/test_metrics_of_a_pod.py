"""Scrapes of a running pod (real processes, simulated IBKR, real ClickHouse) and docs/metrics.md.

A metric that the document does not know fails here, and one that it promises and nobody shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ib_platform.config import ClickHouse, PaperUser
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform_tests.pod_processes import health_of, http_get, running, write_config
from ib_platform_tests.scrape import (
    Described,
    Scrape,
    documented,
    plain_names,
    scraped,
    table,
)
from ib_platform_tests.streamer.app_bench import CL, ES, assign, config_for, streaming
from ib_platform_tests.support import wait_until
from ib_platform_tests.test_metrics import GATEWAY, STREAMER

SELDOM = {"ib_platform_frames_undecodable_total"}
"""Without a sample while all is well; test_metrics.py shows their labels."""


def agrees(found: Scrape, heading: str) -> None:
    """The scrape is what the document says, label by label and word by word."""
    described, promised = found.described(), documented(heading)
    for name in SELDOM & set(described):
        assert described[name].labels in ((), promised[name].labels)
        described[name] = promised[name]
    assert described == promised, f"the table should be\n{table(in_order(described, promised))}"


def in_order(
    described: Mapping[str, Described], promised: Mapping[str, Described]
) -> dict[str, Described]:
    names = [name for name in promised if name in described]
    return {name: described[name] for name in [*names, *(n for n in described if n not in names)]}


def all_seen(user: PaperUser) -> Scrape | None:
    """A scrape in which everything that comes in time has come."""
    found = scraped(user.health_port)
    without = {name for name, metric in found.families.items() if not metric.samples}
    inserted = found.value("ib_platform_insert_rows_count", table="ladder_frames")
    streams = found.value("ib_platform_pod_state", state="STREAMING")
    return found if without <= SELDOM and inserted and streams else None


def test_a_pod_shows_what_the_document_lists(tmp_path: Path, warehouse: ClickHouse) -> None:
    config = config_for(tmp_path, warehouse)
    user, file = config.paper_user("alpha"), write_config(config, tmp_path)
    assign(warehouse)
    with running("gateway", file) as gateway, running("stream", file) as streamer:
        streaming(user, streamer)
        before = health_of(user.health_port, StreamerHealth)
        found = wait_until(lambda: all_seen(user), "every metric", timeout=120)
        after = health_of(user.health_port, StreamerHealth)
        assert before is not None
        assert after is not None
        assert found is not None
        agrees(found, STREAMER)
        assert plain_names(user.health_port) == set(found.families)
        _is_between(before, found, after)
        _sidecar(user, gateway.pid)
        assert streamer.stop() == 0
        assert gateway.stop() == 0
    assert "Traceback" not in streamer.output() + gateway.output()


def _is_between(before: StreamerHealth, found: Scrape, after: StreamerHealth) -> None:
    """The numbers of a scrape that was made between two looks at ``/status``."""
    for name, key in (("spooled", "frames_spooled"), ("stored", "frames_stored")):
        value = found.value(f"ib_platform_{key}_total")
        assert value is not None
        assert getattr(before.frames, name) <= value <= getattr(after.frames, name)
    received = sum(value for _, value in found.samples("ib_platform_frames_received_total"))
    assert before.frames.received <= received <= after.frames.received
    for key in (CL, ES):
        frames = found.value("ib_platform_contract_ladder_frames_total", contract=key)
        assert frames is not None
        assert before.contracts[key].ladder_frames <= frames <= after.contracts[key].ladder_frames
        age = found.value("ib_platform_contract_last_frame_age_seconds", contract=key)
        assert age is not None
        assert age >= 0
    ladder_bytes = found.value("ib_platform_received_bytes_total", topic="sbd")
    ladders = found.value("ib_platform_frames_received_total", topic="sbd")
    assert ladder_bytes is not None
    assert ladders is not None
    assert ladder_bytes > 50 * ladders
    assert found.value("ib_platform_connected") == 1
    assert found.value("ib_platform_assignment_generation") == after.assignment_generation
    assert found.value("ib_platform_capability_mode", mode="multiplex") == 1
    # Simulator and streamer share the machine's clock.
    offset = found.value("ib_platform_clock_offset_seconds")
    assert offset is not None
    assert offset >= -0.001
    assert after.clock_offset_seconds is not None
    ((labels, _),) = found.samples("ib_platform_streamer_info")
    assert (labels["paper_user"], labels["run_id"]) == ("alpha", after.run_id)


def _sidecar(user: PaperUser, pid: int) -> None:
    port = user.gateway_health_port
    health = health_of(port, GatewayHealth)
    found = scraped(port)
    assert health is not None
    assert health.pid == pid
    agrees(found, GATEWAY)
    assert plain_names(port) == set(found.families)
    assert found.value("ib_platform_gateway_state", state=health.state.value) == 1
    assert found.value("ib_platform_gateway_program_starts_total") == 1
    assert found.value("ib_platform_gateway_alarm") == 0
    answer = http_get(port, "/metrics", method="POST")
    assert answer is not None
    assert answer[0] == 405
    text = http_get(port, "/metrics")
    assert text is not None
    # Names of people and accounts are for /status and for logs.
    assert not re.search(rf"{user.username}|{user.account}".encode(), text[1])
