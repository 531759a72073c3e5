"""What a streamer's scrape says of its state: real spool, tracker and loader, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from ib_platform import __version__
from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.health import LadderCapability
from ib_platform.ibkr.session import Judgement
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.states import ContractState, LadderMode, PodState
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.intake import Intake
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.metrics import LOADER_STATES, StreamerCollector
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import look_at
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.ports import free_port
from ib_platform_tests.scrape import Scrape
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads, wait_until

CL, ES = "CL.NYMEX.front", "ES.CME.front"
SECOND = 1_000_000_000
BEGAN = datetime(2026, 11, 24, 12, tzinfo=UTC)
AGE = "ib_platform_contract_last_frame_age_seconds"


@dataclass
class Pod:
    """A streamer's state with a clock that a test moves."""

    folder: Path
    settings: ClickHouse = field(default_factory=lambda: ClickHouse(port=free_port()))
    passed: int = 0

    def __post_init__(self) -> None:
        self.clocks = Clocks(
            wall=lambda: round(BEGAN.timestamp()) * SECOND + self.passed,
            monotonic=lambda: self.passed,
        )
        self.spool = Spool.open(
            self.folder / "spool", "alpha", "run-1", segment_bytes=1 << 20, clocks=self.clocks
        )
        self.loader = Loader(self.spool, self.settings, Limits())
        watcher = AssignmentWatcher(self.settings, PodPaths(self.folder, "alpha"))
        self.state = StreamerState(self.spool, self.loader, watcher, Tracker(30), self.clocks)
        self.intake = Intake(self.state)
        self.registry = CollectorRegistry()
        self.registry.register(StreamerCollector(self.state))

    def later(self, seconds: float) -> None:
        self.passed += round(seconds * SECOND)

    def scrape(self) -> Scrape:
        return Scrape(generate_latest(self.registry).decode())


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    pod = Pod(tmp_path)
    yield pod
    pod.spool.close()


def words(found: Scrape, name: str, label: str = "state", **labels: str) -> dict[str, float]:
    """A state set: the value of each word."""
    return {
        has[label]: value
        for has, value in found.samples(name)
        if has == labels | {label: has[label]}
    }


def test_what_nobody_knows_yet_is_absent_and_what_is_known_to_be_none_is_zero(pod: Pod) -> None:
    found = pod.scrape()
    for name in (
        "clock_offset_seconds",
        "assignment_generation",
        "capability_mode",
        "capability_ladders",
        "spool_pending_bytes",
        "spool_lag_seconds",
        "loader_state",
        "frames_undecodable_total",
        "contract_state",
        "contract_last_frame_age_seconds",
    ):
        assert found.samples(f"ib_platform_{name}") == [], name
    assert {value for _, value in found.samples("ib_platform_frames_received_total")} == {0.0}
    assert dict(
        (labels["cause"], value) for labels, value in found.samples("ib_platform_frames_lost_total")
    ) == {"disk_full": 0.0, "spool_damaged": 0.0}
    assert found.value("ib_platform_connected") == 0
    assert found.value("ib_platform_connections_total") == 0


def test_run_and_paper_user_are_labels_of_the_info_and_of_nothing_else(pod: Pod) -> None:
    found = pod.scrape()
    labels = {"paper_user": "alpha", "run_id": "run-1", "version": __version__}
    assert found.value("ib_platform_streamer_info", **labels) == 1
    began = found.value("ib_platform_streamer_start_time_seconds")
    assert began == BEGAN.timestamp()
    others = [f for name, f in found.families.items() if not name.endswith("_info")]
    assert not any(set(labels) & set(s.labels) for family in others for s in family.samples)


@pytest.mark.parametrize("state", [PodState.COMPETING, PodState.LOCKED])
def test_one_state_of_the_pod_holds(pod: Pod, state: PodState) -> None:
    pod.state.session_is(Judgement(state, "as it is"))
    found = words(pod.scrape(), "ib_platform_pod_state")
    assert found == {other.value: float(other is state) for other in PodState}


def test_frames_of_contracts_their_age_and_their_epochs(pod: Pod) -> None:
    tracker = pod.state.tracker
    tracker.assign({CL: CalendarName.ALWAYS_OPEN, ES: CalendarName.ALWAYS_OPEN}, 0)
    tracker.resolved(CL, CAPTURE_CONID, 0)
    tracker.ladder_requested(CL, 0)
    for payload in capture_ladder_payloads()[:40]:
        pod.intake.take(payload)
    pod.later(12.5)
    found = pod.scrape()
    assert found.samples(AGE) == [({"contract": CL}, 12.5)]
    assert found.value("ib_platform_contract_epochs_total", contract=CL) == 1
    assert found.value("ib_platform_contract_epochs_total", contract=ES) == 0
    assert found.value("ib_platform_contract_ladder_frames_total", contract=CL) == 40
    assert found.value("ib_platform_contract_crossed_states_total", contract=CL) == 0
    pod.later(60)
    expected = {state.value: float(state is ContractState.SILENT) for state in ContractState}
    assert words(pod.scrape(), "ib_platform_contract_state", contract=CL) == expected


def test_a_contract_that_means_another_has_no_age_until_it_sends(pod: Pod) -> None:
    pod.state.tracker.assign({CL: CalendarName.ALWAYS_OPEN}, 0)
    pod.state.tracker.resolved(CL, CAPTURE_CONID, 0)
    pod.intake.take(capture_ladder_payloads()[0])
    assert pod.scrape().value(AGE, contract=CL) == 0
    pod.state.tracker.resolved(CL, CAPTURE_CONID + 1, 0)
    assert pod.scrape().samples(AGE) == []


def test_messages_by_topic_and_what_could_not_be_read_by_reason(pod: Pod) -> None:
    for payload in (
        b'{"topic":"system","hb":1}',
        b"not json",
        b'{"topic":"sbd+x"}',
        b'{"topic":"new"}',
    ):
        pod.intake.take(payload)
    found = pod.scrape()
    for topic, size in (("system", 25), ("undecodable", 8), ("sbd", 17), ("other", 15)):
        assert found.value("ib_platform_frames_received_total", topic=topic) == 1
        assert found.value("ib_platform_received_bytes_total", topic=topic) == size
    reasons = found.samples("ib_platform_frames_undecodable_total")
    assert reasons == [({"reason": "not_json"}, 1.0), ({"reason": "bad_topic"}, 1.0)]
    assert found.value("ib_platform_frames_spooled_total") == 4
    assert found.value("ib_platform_spool_written_bytes_total") == pod.spool.bytes_written > 0


class BrokenDisk:
    """Stands where the spool is, and takes nothing."""

    def append_frame(self, *_: object, **__: object) -> int:
        raise SpoolError("no") from OSError(5, "Input/output error")

    append_event = require_room = append_frame


def test_lost_frames_are_counted_by_cause(pod: Pod) -> None:
    pod.intake.take(b"{}")
    pod.state.journal._spool = BrokenDisk()  # type: ignore[assignment]
    pod.intake.take(b"{}")
    pod.intake.take(b"{}")
    found = pod.scrape()
    assert found.value("ib_platform_frames_lost_total", cause="spool_damaged") == 2
    assert found.value("ib_platform_frames_lost_total", cause="disk_full") == 0
    assert found.value("ib_platform_frames_received_total", topic="undecodable") == 3
    assert found.value("ib_platform_frames_spooled_total") == 1


def test_the_offset_of_the_clock_is_that_of_the_fastest_heartbeat_of_ten_minutes(pod: Pod) -> None:
    name = "ib_platform_clock_offset_seconds"
    for way in (0.25, 0.05, 0.5):
        sent = pod.clocks.wall() // 1_000_000 - 2000
        pod.later(way)
        pod.state.heartbeats.arrived(sent, look_at(pod.clocks))
    assert pod.scrape().value(name) == 2.05
    assert pod.state.health().clock_offset_seconds == 2.05
    pod.later(599)
    assert pod.scrape().value(name) == 2.05
    pod.later(2)
    assert pod.scrape().samples(name) == []
    assert pod.state.health().clock_offset_seconds is None


def test_a_capability_is_there_when_it_is_proven(pod: Pod) -> None:
    at = BEGAN - timedelta(days=1)
    pod.state.capability = LadderCapability(LadderMode.REPLACE, 2, at, "seen")
    found = pod.scrape()
    assert found.value("ib_platform_capability_ladders") == 2
    expected = {"multiplex": 0.0, "replace": 1.0, "first_wins": 0.0}
    assert words(found, "ib_platform_capability_mode", "mode") == expected


def test_depth_of_the_spool_in_bytes_and_seconds(tmp_path: Path, warehouse: ClickHouse) -> None:
    pod = Pod(tmp_path, warehouse)
    pod.intake.take(b'{"topic":"system","hb":1}')
    pod.state.health()
    assert pod.scrape().samples("ib_platform_spool_pending_bytes") == []
    assert pod.loader.drain(120)
    pod.state.health()
    found = pod.scrape()
    assert found.value("ib_platform_spool_pending_bytes") == 0
    assert found.value("ib_platform_spool_lag_seconds") == 0
    assert found.value("ib_platform_frames_stored_total") == 1
    idle = {state: float(state == "idle") for state in LOADER_STATES}
    assert words(found, "ib_platform_loader_state") == idle
    pod.intake.take(b'{"topic":"system","hb":1}')
    pod.later(3)
    assert pod.scrape().value("ib_platform_spool_pending_bytes") == 0
    pod.state.health()
    found = pod.scrape()
    pending = found.value("ib_platform_spool_pending_bytes")
    assert pending is not None
    assert 0 < pending < pod.spool.bytes_written
    assert found.value("ib_platform_spool_lag_seconds") == 3
    pod.spool.close()


def test_an_unreadable_spool_is_blocked_and_not_empty(pod: Pod) -> None:
    (pod.spool.folder / "manifest.json").write_text("{")
    pod.loader.start()
    wait_until(lambda: pod.loader.health().state == "blocked", "the blocked loader")
    pod.state.health()
    found = pod.scrape()
    assert found.samples("ib_platform_spool_pending_bytes") == []
    assert words(found, "ib_platform_loader_state")["blocked"] == 1
    pod.loader.stop(1)
