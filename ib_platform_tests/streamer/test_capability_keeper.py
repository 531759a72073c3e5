"""What is proven about several ladders outlives the run: on disk, in the record, for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ib_platform.cli import main
from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.health import LadderCapability
from ib_platform.paths import PodPaths
from ib_platform.states import LadderMode, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.capability import Conclusion
from ib_platform.streamer.capability_keeper import (
    CapabilityKeeper,
    read_capability,
    write_capability,
)
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.pod_processes import write_config
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.app_bench import CL, ES, events_of
from ib_platform_tests.support import make_config

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE = LadderCapability(LadderMode.REPLACE, 1, AT, "each request silenced the other")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StreamerState]:
    paths = PodPaths(tmp_path, "alpha")
    spool = Spool.open(paths.spool, "alpha", "alpha-run", segment_bytes=1 << 20)
    settings = ClickHouse(port=free_port())
    watcher = AssignmentWatcher(settings, paths)
    clocks = Clocks(wall=lambda: round(AT.timestamp()) * 10**9)
    yield StreamerState(spool, Loader(spool, settings, Limits()), watcher, Tracker(30), clocks)
    spool.close()


class Proves(Subscriptions):
    """Subscriptions whose frames have proven what a test says."""

    def __init__(self, found: Conclusion | None) -> None:
        super().__init__("DU1", chance=lambda: 0.5)
        self.found = found

    def news(self) -> Conclusion | None:
        return self.found


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = PodPaths(tmp_path, "alpha").capability
    assert read_capability(file) is None
    write_capability(file, ONE)
    assert read_capability(file) == ONE
    assert [path.name for path in file.parent.iterdir()] == ["capability.json"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"mode":"several","ladders":1}', b"\xff"])
def test_a_file_of_something_else_is_proven_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "capability.json"
    file.write_bytes(content)
    assert read_capability(file) is None
    assert "will be proven again" in caplog.text


def test_news_are_stored_told_and_used(state: StreamerState, tmp_path: Path) -> None:
    file = PodPaths(tmp_path, "alpha").capability
    subscriptions = Proves(None)
    keeper = CapabilityKeeper(file, state, subscriptions)
    keeper.look()
    assert (keeper.why_not_held, state.health().capability) == ("", None)
    subscriptions.found = Conclusion(ONE.mode, ONE.ladders, ONE.evidence)
    subscriptions.desire({CL: 1, ES: 2})
    keeper.look()
    keeper.look()
    assert read_capability(file) == state.health().capability == subscriptions.capability == ONE
    events = [e for e in events_of(make_config(tmp_path)) if e.kind is StreamEventKind.CAPABILITY]
    (event,) = events
    assert event.detail == {"mode": "replace", "ladders": 1, "evidence": ONE.evidence}
    assert event.cause is None


def test_a_disk_that_refuses_costs_the_next_run_a_proof_only(
    state: StreamerState, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a_file").write_text("")
    subscriptions = Proves(Conclusion(ONE.mode, ONE.ladders, ONE.evidence))
    keeper = CapabilityKeeper(tmp_path / "a_file" / "capability.json", state, subscriptions)
    keeper.look()
    assert state.capability == ONE
    assert "the next run proves it again" in caplog.text


def test_the_command_prints_what_is_stored(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    file = str(write_config(config, tmp_path))
    arguments = ["probe", "--config", file, "--paper-user", "alpha"]
    said = CliRunner().invoke(main, arguments)
    assert (said.exit_code, said.output.splitlines()[0][:24]) == (0, "nothing is proven yet (/")
    write_capability(PodPaths(tmp_path, "alpha").capability, ONE)
    said = CliRunner().invoke(main, arguments)
    assert said.output.splitlines() == [
        "replace: a further ladder silences an earlier one",
        "ladders at a time: 1, proven at 2026-11-24T12:00:00+00:00",
        "evidence: each request silenced the other",
        "depth_slots is 3: set it to 1 and rebalance",
    ]
