"""Finding Java; and the supervisor as a process with a program in IBKR's place."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.config_gateway import JavaGateway
from ib_platform.errors import MissingDependencyError
from ib_platform.gateway.java import find_java, java_command, java_version
from ib_platform.gateway.program import program_command
from ib_platform.health import GatewayHealth
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform_tests.pod_processes import health_of, running, write_config
from ib_platform_tests.support import make_config, program_on_path, wait_until


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', (17, 0)),
        ('java version "1.8.0_192"', (8, 192)),
        ('openjdk version "1.8.0"', (8, 0)),
        ('openjdk version "21" 2023-09-19', (21, 0)),
        ("Python 3.11.2", None),
        ("", None),
    ],
)
def test_versions(said: str, version: tuple[int, int] | None) -> None:
    assert java_version(said) == version


def _script(folder: Path, body: str) -> Path:
    file = folder / "java"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def test_the_java_of_this_machine_is_found(tmp_path: Path) -> None:
    java = program_on_path("java", "default-jre-headless")
    assert find_java(JavaGateway(folder=tmp_path)).path == Path(java)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("echo 'java version \"1.8.0_191\"' >&2", "8 update 191"),
        ("echo hello", "not a Java"),
        ("exit 0", "'nothing'"),
    ],
)
def test_what_is_no_java_or_too_old_is_said_with_the_debian_package(
    tmp_path: Path, body: str, word: str
) -> None:
    java = JavaGateway(folder=tmp_path, java=str(_script(tmp_path, body)))
    with pytest.raises(MissingDependencyError, match=word) as caught:
        find_java(java)
    assert "apt-get install openjdk-17-jre-headless" in str(caught.value)


def test_no_java_at_all_is_said_with_the_debian_package(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"no such program.*apt-get install openjdk"):
        find_java(JavaGateway(folder=tmp_path, java="java-of-nobody"))


def test_the_command_line_is_that_of_the_program_s_own_script(tmp_path: Path) -> None:
    command = java_command(Path("/usr/bin/java"), JavaGateway(folder=tmp_path))
    assert command[-3:] == [
        "ibgroup.web.core.clientportal.gw.GatewayStart",
        "--conf",
        "../root/conf.yaml",
    ]
    assert command[command.index("-cp") + 1].split(":")[0] == "root"
    assert "-Xmx512m" in command


IN_IBKRS_PLACE = """
case "$*" in *-version*) echo 'openjdk version "17.0.15"' >&2; exit 0;; esac
test -f root/conf.yaml -a -f root/gateway.jks -a -d dist -a -d build/lib/runtime || exit 9
exec {python} -m ib_platform.cli simulate --config {config} --paper-user alpha --port {port} \\
  --certificate {certificate} --private-key {key}
"""


@pytest.fixture
def java_config(tmp_path: Path) -> PlatformConfig:
    """The program java, played by a script that wants its files where IBKR's program does."""
    unpacked = tmp_path / "clientportal.gw"
    for name in ("dist", "build/lib/runtime", "root"):
        (unpacked / name).mkdir(parents=True)
    java = {"folder": unpacked, "java": str(tmp_path / "java")}
    config = make_config(tmp_path, gateway={"program": "java", "java": java})
    user, paths = config.paper_user("alpha"), PodPaths(tmp_path, "alpha")
    _script(
        tmp_path,
        IN_IBKRS_PLACE.format(
            python=sys.executable,
            config=tmp_path / "ib_platform.yaml",
            port=user.gateway_port,
            certificate=paths.certificate,
            key=paths.private_key,
        ),
    )
    return config


def test_the_supervisor_runs_the_program_in_a_folder_of_its_own(
    java_config: PlatformConfig, tmp_path: Path
) -> None:
    port = java_config.paper_user("alpha").gateway_health_port
    with running("gateway", write_config(java_config, tmp_path)) as gateway:

        def authenticated() -> GatewayHealth | None:
            assert gateway.process.poll() is None, gateway.output()[-2000:]
            health = health_of(port, GatewayHealth)
            return health if health and health.state is PodState.AUTHENTICATED else None

        wait_until(authenticated, "an authenticated gateway")
        assert gateway.stop() == 0
    assert (PodPaths(tmp_path, "alpha").gateway_folder / "root" / "conf.yaml").is_file()


def test_a_supervisor_without_java_ends_with_a_clear_error(
    java_config: PlatformConfig, tmp_path: Path
) -> None:
    (tmp_path / "java").unlink()
    with running("gateway", write_config(java_config, tmp_path)) as gateway:
        assert gateway.process.wait(60) == MissingDependencyError.exit_code
        assert "apt-get install openjdk-17-jre-headless" in gateway.output()


def test_a_command_has_no_secret(java_config: PlatformConfig, tmp_path: Path) -> None:
    user, paths = java_config.paper_user("alpha"), PodPaths(tmp_path, "alpha")
    ensure_certificate(paths.certificate, paths.private_key)
    command = program_command(java_config, user, tmp_path / "ib_platform.yaml")
    password = (paths.gateway_folder / "root" / "conf.yaml").read_text().split("sslPwd: ")[1]
    assert password.splitlines()[0] not in " ".join(command.argv)
    assert command.folder == paths.gateway_folder
    shutil.rmtree(paths.gateway_folder)
