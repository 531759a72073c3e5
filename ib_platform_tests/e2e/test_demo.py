"""The main job, end to end, with all real processes: what a newcomer's `make demo FOR=...` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import load_config
from ib_platform_tests.e2e.running_demo import RunningDemo
from ib_platform_tests.warehouse.server import EmbeddedServer


@pytest.mark.timeout(600)
def test_a_bounded_demo_streams_two_ladders_into_bars_and_verdicts(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path, arguments=["--for", "125"])
    demo.start()
    code = demo.wait_for_end()
    assert code == 0, demo.said
    summary = demo.summary()
    assert set(summary["pods"]) == {"alpha", "beta"}
    for name, pod in summary["pods"].items():
        assert pod["reached_streaming"], name
        assert pod["stored"] > 100, name
        assert pod["received"] == pod["spooled"] == pod["stored"], name
        assert pod["duplicates"] == 0, name
        assert pod["runs"] == 1, name
        assert pod["states"][-1]["state"] == "STREAMING", name
    total = sum(pod["stored"] for pod in summary["pods"].values())
    assert summary["total"] == {"received": total, "spooled": total, "stored": total}
    assert set(summary["contracts"]) == {"CL.NYMEX.front", "ES.CME.front"}
    for name, contract in summary["contracts"].items():
        assert contract["complete_1m_bars"] >= 1, name
        assert set(contract["bars"]) == {"1s", "5s", "1m", "5m", "15m", "1h", "1d"}, name
        assert contract["verdict"] == "available", (name, contract["reasons"])
        assert contract["gaps"] == [], name
        assert contract["crossed"] == 0, name
        assert contract["two_sided"] > 0, name
    assert demo.survivors() == []
    assert "waiting for pod alpha" in demo.said, "it says what it waits for"
    settings = load_config(demo.folder / "ib_platform.yaml").clickhouse
    with EmbeddedServer(
        tmp_path,
        password_file=settings.password_file,
        embedded_folder=settings.embedded_folder,
    ) as server:
        assert_no_check_cries_wolf(server.connect(database="ib"))


def assert_no_check_cries_wolf(client: Any) -> None:
    rows = client.query(
        "SELECT contract, code, verdict, explanation, source FROM quality_checks "
        "ORDER BY contract, code"
    ).result_rows
    client.close()
    assert len(rows) == 66
    assert [row for row in rows if row[2] in ("warn", "fail")] == []
    assert {row[4] for row in rows} == {"simulated"}
    unknown = {row[1] for row in rows if row[2] == "unknown"}
    assert unknown <= {"Q07", "Q26"}, "a new date, without a keyframe but the first"


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with RunningDemo(tmp_path) as first:
        second = RunningDemo(tmp_path)
        second.log_file = tmp_path / "second.log"
        second.start()
        assert second.wait_for_end() == 3
        assert "another demo runs in" in second.said
        assert len(second.said.strip().splitlines()) == 1
        assert first.streaming_run("alpha"), "the first one goes on"
    assert first.survivors() == []
