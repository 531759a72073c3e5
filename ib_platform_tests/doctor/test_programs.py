"""Java, its folder, Chromium and Playwright: real scripts that answer as the real programs do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Level
from ib_platform.doctor.programs import check_browser, check_java
from ib_platform_tests.doctor.findings import levels, only, script, with_credentials, with_gateway
from ib_platform_tests.support import make_config


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state")


def java_config(config: PlatformConfig, folder: Path, java: str) -> PlatformConfig:
    for part in ("dist", "build/lib/runtime"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return with_gateway(config, program="java", java={"folder": folder, "java": java})


def test_the_simulator_needs_no_java(config: PlatformConfig) -> None:
    assert only(check_java(config)).text == "not needed: the pods run the simulator"


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ('openjdk version "17.0.13" 2024-10-15', Level.OK),
        ('java version "1.8.0_192"', Level.OK),
        ('openjdk version "1.8.0_382"', Level.OK),
        ('openjdk version "11" 2018-09-25', Level.OK),
        ('openjdk version "21-ea" 2023-09-19', Level.OK),
        ('java version "1.8.0_181"', Level.PROBLEM),
        ('java version "1.8.0"', Level.PROBLEM),
        ('java version "1.7.0_351"', Level.PROBLEM),
        ("The operation couldn't be completed.", Level.PROBLEM),
    ],
)
def test_versions_of_java(config: PlatformConfig, tmp_path: Path, said: str, level: Level) -> None:
    java = script(tmp_path / "java", f"cat >&2 <<'END'\n{said}\nEND")
    found, folder = check_java(java_config(config, tmp_path / "gateway", str(java)))
    assert (found.level, folder.level) == (level, Level.OK)
    if level is Level.PROBLEM:
        assert "openjdk-17-jre-headless" in str(found.remedy)


@pytest.mark.parametrize("text", ["exit 1", "kill -9 $$"])
def test_a_java_that_does_not_work(config: PlatformConfig, tmp_path: Path, text: str) -> None:
    java = script(tmp_path / "java", text)
    found, _ = check_java(java_config(config, tmp_path / "gateway", str(java)))
    assert found.level is Level.PROBLEM
    assert "not a Java" in found.text


def test_no_java_and_a_folder_of_something_else(config: PlatformConfig, tmp_path: Path) -> None:
    wrong = with_gateway(config, program="java", java={"folder": tmp_path, "java": "no-such-java"})
    found, folder = check_java(wrong)
    assert levels([found, folder]) == [Level.PROBLEM, Level.PROBLEM]
    assert "'no-such-java': no such program" in found.text
    assert f"{tmp_path}/dist, {tmp_path}/build/lib/runtime missing" in folder.text


def browser_config(config: PlatformConfig, chromium: Path, **login: object) -> PlatformConfig:
    data = with_credentials(config, alpha={"keyring_service": "ib"}).model_dump()
    data["gateway"]["login"] |= {"chromium": chromium, **login}
    return PlatformConfig(**data)


def test_who_never_logs_in_needs_no_browser(config: PlatformConfig) -> None:
    assert only(check_browser(config)).level is Level.OK


def test_a_browser_that_answers(config: PlatformConfig, tmp_path: Path) -> None:
    chromium = script(tmp_path / "chromium", "echo Chromium 156.0.1 built on Debian")
    found = only(check_browser(browser_config(config, chromium)))
    assert found.text == f"{chromium} is Chromium 156.0.1 built on Debian"


def test_complaints_of_a_start_script_are_no_version(
    config: PlatformConfig, tmp_path: Path
) -> None:
    body = "echo '9: [: 25276030976: unexpected operator' >&2\necho Chromium 156.0.1"
    chromium = script(tmp_path / "chromium", body)
    found = only(check_browser(browser_config(config, chromium)))
    assert found.text == f"{chromium} is Chromium 156.0.1"


@pytest.mark.parametrize(
    ("text", "words"), [(None, "is not found; alpha cannot log in"), ("exit 3", "does not answer")]
)
def test_a_browser_that_does_not(
    config: PlatformConfig, tmp_path: Path, text: str | None, words: str
) -> None:
    chromium = tmp_path / "chromium"
    if text is not None:
        script(chromium, text)
    found = only(check_browser(browser_config(config, chromium)))
    assert found.level is Level.PROBLEM
    assert words in found.text
    assert "apt-get install chromium" in str(found.remedy)


def test_without_a_sandbox(config: PlatformConfig, tmp_path: Path) -> None:
    chromium = script(tmp_path / "chromium", "echo Chromium")
    _, sandbox = check_browser(browser_config(config, chromium, sandbox=False))
    assert sandbox.level is Level.WARNING
