"""What IBKR's gateway program is given. Java's own keytool reads the keystore."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ib_platform.config_gateway import JavaGateway
from ib_platform.errors import ConfigurationError
from ib_platform.gateway.conf import CONF, KEYSTORE, conf_yaml, keystore, write_instance
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform_tests.support import program_on_path


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder that looks like an unpacked clientportal.gw.zip."""
    folder = tmp_path / "clientportal.gw"
    for name in ("dist", "build/lib/runtime", "root/webapps/demo"):
        (folder / name).mkdir(parents=True)
    (folder / "root" / "logback.xml").write_text("<configuration/>")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "gateway.pem", tmp_path / "gateway.key"
    ensure_certificate(certificate, key)
    return certificate, key


def test_only_this_machine_may_call(tmp_path: Path) -> None:
    conf = yaml.safe_load(conf_yaml(JavaGateway(folder=tmp_path), 5123, "secret"))
    assert conf["ips"] == {"allow": ["127.0.0.1"], "deny": []}
    assert conf["listenPort"] == 5123
    assert conf["listenSsl"] is True
    assert (conf["sslCert"], conf["sslPwd"]) == (KEYSTORE, "secret")
    assert conf["proxyRemoteHost"] == "https://api.ibkr.com"
    assert conf["proxyRemoteSsl"] is True


def test_another_upstream_without_tls(tmp_path: Path) -> None:
    java = JavaGateway(folder=tmp_path, upstream="http://127.0.0.1:8080")
    conf = yaml.safe_load(conf_yaml(java, 5000, "secret"))
    assert conf["proxyRemoteHost"] == "http://127.0.0.1:8080"
    assert conf["proxyRemoteSsl"] is False


def test_the_folder_is_laid_out_as_the_program_wants_it(
    tmp_path: Path, unpacked: Path, pair: tuple[Path, Path]
) -> None:
    folder = tmp_path / "pods" / "alpha" / "gateway"
    for _ in range(2):  # a second start finds what the first one left
        write_instance(folder, JavaGateway(folder=unpacked), 5000, *pair)
    assert (folder / "dist").resolve() == unpacked / "dist"
    assert (folder / "build" / "lib" / "runtime").is_dir()
    assert (folder / "root" / "webapps" / "demo").is_dir()
    assert (folder / "root" / "logback.xml").is_file()
    for name in (CONF, KEYSTORE):
        assert (folder / "root" / name).stat().st_mode & 0o777 == 0o600


def test_each_start_has_another_keystore_password(
    tmp_path: Path, unpacked: Path, pair: tuple[Path, Path]
) -> None:
    passwords = set()
    for _ in range(2):
        write_instance(tmp_path / "pod", JavaGateway(folder=unpacked), 5000, *pair)
        conf = yaml.safe_load((tmp_path / "pod" / "root" / CONF).read_text())
        passwords.add(conf["sslPwd"])
    assert len(passwords) == 2


def test_java_itself_reads_the_keystore_as_jks(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    keytool = program_on_path("keytool", "default-jre-headless")
    file = tmp_path / KEYSTORE
    file.write_bytes(keystore(*pair, "a password"))
    answer = subprocess.run(
        [keytool, "-list", "-v", "-keystore", file, "-storetype", "JKS"],
        input="a password\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PrivateKeyEntry" in answer.stdout
    assert "CN=ib_platform gateway" in answer.stdout
    assert "IPAddress: 127.0.0.1" in answer.stdout


@pytest.mark.parametrize("missing", ["dist", "build/lib/runtime"])
def test_a_folder_without_the_program_is_a_clear_error(
    tmp_path: Path, unpacked: Path, pair: tuple[Path, Path], missing: str
) -> None:
    shutil.rmtree(unpacked / missing)
    with pytest.raises(ConfigurationError, match=f"no {missing} in it.*clientportal.gw.zip"):
        write_instance(tmp_path / "pod", JavaGateway(folder=unpacked), 5000, *pair)


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, unpacked: Path, pair: tuple[Path, Path]
) -> None:
    (tmp_path / "pod").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_instance(tmp_path / "pod", JavaGateway(folder=unpacked), 5000, *pair)
