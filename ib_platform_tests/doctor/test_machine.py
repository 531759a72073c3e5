"""Disk, memory and the owner of the state folder, on this real machine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Level
from ib_platform.doctor.machine import check_disk, check_memory, check_state_dir
from ib_platform.doctor.plan import check_contracts, check_requests
from ib_platform_tests.doctor.findings import only
from ib_platform_tests.support import make_config


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state" / "deep")


def test_space_is_told_of_folders_that_do_not_exist_yet(
    config: PlatformConfig, tmp_path: Path
) -> None:
    found = list(check_disk(config))
    assert len(found) == 4
    assert f"runtime.state_dir {tmp_path}/state/deep:" in found[0].text
    assert "days of spool should ClickHouse be away (181 MB a day, 2 ladders of 3" in found[0].text
    assert "embedded_folder" in found[2].text
    assert "days" not in found[2].text
    assert [found[1].level, found[3].level] == [Level.OK, Level.OK]
    assert list(tmp_path.rglob("*")) == [], "nothing is left behind"


@pytest.mark.skipif(not Path("/proc/1").exists(), reason="needs a folder that nobody may write")
def test_a_folder_that_cannot_be_written(config: PlatformConfig) -> None:
    data = config.model_dump()
    data["runtime"]["state_dir"] = Path("/proc/1/state")
    findings = list(check_disk(PlatformConfig(**data)))
    assert findings[1].level is Level.PROBLEM
    assert "no frame can be recorded" in findings[1].text


def test_the_owner_of_the_state_folder(config: PlatformConfig) -> None:
    folder = config.runtime.state_dir
    assert "does not exist yet" in only(check_state_dir(config)).text
    (folder / "spool" / "alpha").mkdir(parents=True)
    assert only(check_state_dir(config)).level is Level.OK
    folder.chmod(0o777)
    open_to_all = only(check_state_dir(config))
    assert open_to_all.level is Level.PROBLEM
    assert open_to_all.remedy == f"Run `chmod o-w {folder}`."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_another_user(config: PlatformConfig) -> None:
    spool = config.runtime.state_dir / "spool" / "alpha"
    spool.mkdir(parents=True)
    os.chown(spool, 12345, 12345)
    found = only(check_state_dir(config))
    assert found.level is Level.PROBLEM
    assert f"the first is {spool}" in found.text


def test_memory(config: PlatformConfig) -> None:
    data = config.model_dump()
    data["clickhouse"]["embedded_memory_bytes"] = 512 * 1024**2
    assert only(check_memory(PlatformConfig(**data))).level is Level.OK
    data["clickhouse"]["embedded_memory_bytes"] = psutil.virtual_memory().total
    found = only(check_memory(PlatformConfig(**data)))
    assert found.level is Level.WARNING
    assert "may end a pod" in found.text


def test_contracts_that_fit_and_contracts_that_do_not(config: PlatformConfig) -> None:
    assert only(check_contracts(config)).text == "2 fit the slots of 2 paper users"
    data = config.model_dump()
    data["paper_users"][0]["depth_slots"] = 1
    data["contracts"][0]["months"] = ("front", "next")
    found = only(check_contracts(PlatformConfig(**data)))
    assert found.level is Level.PROBLEM


def test_the_request_budget(config: PlatformConfig) -> None:
    assert "5 of the 9 that a pod may have" in only(check_requests(config)).text
