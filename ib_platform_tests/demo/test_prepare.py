"""What a demo refuses before anything is started: one clear sentence each."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import load_config
from ib_platform.demo import prepare
from ib_platform.demo.prepare import (
    DemoOptions,
    demo_config,
    prepare_folder,
    require_free_ports,
    require_parts,
    write_config,
)
from ib_platform.errors import ConfigurationError, MissingDependencyError, PlatformInUseError
from ib_platform_tests.ports import free_port, free_port_range


def options(folder: Path, **changes: Any) -> DemoOptions:
    values: dict[str, Any] = {
        "folder": folder,
        "seconds": None,
        "replay": None,
        "speed": 1.0,
        "max_pause": None,
        "json_file": None,
        "no_ui": False,
        "ui_port": free_port(),
        "clickhouse_port": free_port(),
        "pod_port": free_port_range(20),
    }
    return DemoOptions(**{**values, **changes})


def test_the_written_configuration_is_the_demos(tmp_path: Path) -> None:
    wanted = options(tmp_path, replay=tmp_path / "capture.jsonl.gz", speed=60, pod_port=21000)
    config = demo_config(wanted)
    assert load_config(write_config(config, tmp_path)) == config
    assert [user.account for user in config.paper_users] == ["DU1000001", "DU1000002"]
    assert config.gateway.simulator.speed == 60
    ports = [user.gateway_port for user in config.paper_users]
    assert ports == [21000, 21010], "each pod has a gateway port of its own"


def test_a_scenario_reaches_the_pods_by_name_or_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, written in (
        ("flaky_evening", "flaky_evening"),
        ("mine.yaml", str(tmp_path / "mine.yaml")),
        (None, None),
    ):
        config = demo_config(options(tmp_path, scenario=given))
        assert config.gateway.simulator.scenario == written
        assert load_config(write_config(config, tmp_path)) == config


def test_a_scenario_that_cannot_be_played_is_refused(tmp_path: Path) -> None:
    require_parts(options(tmp_path, scenario="flaky_evening"))
    with pytest.raises(ConfigurationError, match="did you mean 'flaky_evening'"):
        require_parts(options(tmp_path, scenario="flaky_evning"))
    mine = tmp_path / "mine.yaml"
    text = "name: m\ndescription: d\nat_ibkr: a\nfaults: [{fault: half_open, at: 1, paper_user: x}]"
    mine.write_text(text)
    with pytest.raises(ConfigurationError, match=r"mine\.yaml, line 4: .* known: alpha, beta"):
        require_parts(options(tmp_path, scenario=str(mine)))


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gateway_port"):
        demo_config(options(tmp_path, pod_port=65530))


@pytest.mark.parametrize(
    ("field", "option"), [("ui_port", "--ui-port"), ("clickhouse_port", "--clickhouse-port")]
)
def test_a_taken_port_names_port_purpose_and_option(
    tmp_path: Path, field: str, option: str
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        wanted = options(tmp_path, **{field: port})
        with pytest.raises(PlatformInUseError, match=rf"port {port} .*{option}"):
            require_free_ports(demo_config(wanted), wanted)


def test_the_ui_port_does_not_matter_without_ui(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        wanted = options(tmp_path, ui_port=holder.getsockname()[1], no_ui=True)
        require_free_ports(demo_config(wanted), wanted)


def test_a_taken_pod_port_names_the_pod(tmp_path: Path) -> None:
    pod_port = free_port_range(20)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", pod_port + 12))
        holder.listen()
        wanted = options(tmp_path, pod_port=pod_port)
        with pytest.raises(PlatformInUseError, match=r"the pod of beta.*--pod-port"):
            require_free_ports(demo_config(wanted), wanted)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ib-platform\[embedded\]'"):
        require_parts(options(tmp_path))


def test_a_missing_capture_and_a_missing_json_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.gz: no such file"):
        require_parts(options(tmp_path, replay=tmp_path / "absent.gz"))
    with pytest.raises(ConfigurationError, match=r"the folder .*nowhere does not exist"):
        require_parts(options(tmp_path, json_file=tmp_path / "nowhere" / "out.json"))


def test_a_fresh_folder_is_private(tmp_path: Path) -> None:
    prepare_folder(options(tmp_path / "demo"))
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700


def test_what_an_earlier_demo_left_is_removed_unless_kept(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    prepare_folder(options(folder))
    (folder / "clickhouse").mkdir()
    (folder / "clickhouse" / "data").write_text("old", encoding="utf-8")
    prepare_folder(options(folder, keep=True))
    assert (folder / "clickhouse" / "data").exists()
    prepare_folder(options(folder))
    assert not (folder / "clickhouse").exists()


def test_a_folder_with_other_peoples_files_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not the folder of a demo"):
        prepare_folder(options(tmp_path))
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="name another folder with --folder"):
        prepare_folder(options(blocker / "demo"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot write"):
        prepare_folder(options(tmp_path / "demo"))
