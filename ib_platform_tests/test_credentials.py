"""Credentials from files, folders and a keyring, and every way in which they are unusable."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from ib_platform.config import PaperUser
from ib_platform.config_gateway import Credentials
from ib_platform.credentials import LoginCredentials, read_credentials
from ib_platform.errors import ConfigurationError, MissingDependencyError

PASSWORD = " p:ässword 1 "


def user_with(credentials: Credentials | None) -> PaperUser:
    return PaperUser(
        name="alpha",
        username="papera01",
        account="DU1000001",
        gateway_port=5000,
        gateway_health_port=5001,
        health_port=5002,
        credentials=credentials,
    )


def written(file: Path, content: str | bytes, mode: int = 0o600) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
    return file


def read_file(file: Path) -> LoginCredentials:
    return read_credentials(user_with(Credentials(password_file=file)))


def read_folder(folder: Path) -> LoginCredentials:
    return read_credentials(user_with(Credentials(folder=folder)))


def refused(folder: Path, *words: str) -> None:
    """Reading ``folder`` is refused with these words, and tells nothing of what is in it."""
    with pytest.raises(ConfigurationError) as caught:
        read_folder(folder)
    for word in ("paper user alpha", *words):
        assert word in str(caught.value)
    everything = "".join(traceback.format_exception(caught.value))
    for secret in ("hunter2", "another-user"):
        assert secret not in everything


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_is_the_line_without_its_end(tmp_path: Path, end: str) -> None:
    credentials = read_file(written(tmp_path / "password", PASSWORD + end))
    assert credentials.username == "papera01"
    assert credentials.password.get_secret_value() == PASSWORD


def test_the_password_is_in_no_repr(tmp_path: Path) -> None:
    credentials = read_file(written(tmp_path / "password", PASSWORD))
    for shown in (repr(credentials), str(credentials), f"{credentials.password}"):
        assert "ssword 1" not in shown


def test_a_password_is_read_anew(tmp_path: Path) -> None:
    file = written(tmp_path / "password", "old")
    assert read_file(file).password.get_secret_value() == "old"
    written(file, "new")
    assert read_file(file).password.get_secret_value() == "new"


def mounted(folder: Path, revision: str, **files: str) -> Path:
    """A folder as the kubelet mounts a Secret: links through ``..data`` to a dated folder."""
    for name, content in files.items():
        written(folder / revision / name, content, 0o440)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    (folder / "..new").symlink_to(revision)
    (folder / "..new").rename(folder / "..data")
    # The kubelet's folders are world-writable with the sticky bit; nobody else is in the container.
    folder.chmod(0o1777)
    return folder


def test_a_mounted_secret_and_its_rotation(tmp_path: Path) -> None:
    folder = mounted(tmp_path / "m", "..2026_11_25", username="papera01\n", password="first\n")
    assert read_folder(folder).password.get_secret_value() == "first"
    mounted(folder, "..2026_11_26", username="papera01\n", password="second\n")
    assert read_folder(folder).password.get_secret_value() == "second"


def test_a_folder_without_a_username(tmp_path: Path) -> None:
    written(tmp_path / "password", "hunter2")
    assert read_folder(tmp_path).username == "papera01"


def test_no_credentials() -> None:
    with pytest.raises(ConfigurationError, match="names no credentials"):
        read_credentials(user_with(None))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644, 0o660, 0o620])
@pytest.mark.parametrize("name", ["password", "username"])
def test_a_file_that_others_can_use(tmp_path: Path, name: str, mode: int) -> None:
    written(tmp_path / "password", "hunter2")
    written(tmp_path / "username", "papera01")
    (tmp_path / name).chmod(mode)
    refused(tmp_path, str(tmp_path / name), f"mode {mode:04o}", "chmod 600", "defaultMode: 0440")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_file_that_its_owner_and_group_can_read(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path / "password", "hunter2", mode)
    assert read_file(file).password.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \n", "is empty"),
        (b"hunter2\nhunter2\n", "more than one line"),
        (b"hunter2\n\n", "more than one line"),
        (b"hunter2\0", "more than one line"),
        (b"hunter2\xff", "is not UTF-8"),
        (b"hunter2" * 1000, "longer than 4096 bytes"),
    ],
)
def test_a_content_that_is_no_password(tmp_path: Path, content: bytes, problem: str) -> None:
    written(tmp_path / "password", content)
    refused(tmp_path, str(tmp_path / "password"), problem)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path, str(tmp_path / "password"), "does not exist", "mode 0600")


def test_a_missing_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none", "is no folder")


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    refused(written(tmp_path / "password", "hunter2"), "is no folder", "password_file")


def test_a_folder_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").mkdir()
    refused(tmp_path, "is a folder")


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "password", 0o600)
    refused(tmp_path, "is no regular file")


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "password").symlink_to("password")
    refused(tmp_path, "cannot be read (Too many levels of symbolic links)")


def test_another_username(tmp_path: Path) -> None:
    written(tmp_path / "password", "hunter2")
    written(tmp_path / "username", "another-user")
    refused(tmp_path, str(tmp_path / "username"), "another username", "papera01")


def test_a_username_whose_link_is_broken(tmp_path: Path) -> None:
    written(tmp_path / "password", "hunter2")
    (tmp_path / "username").symlink_to("..data/username")
    refused(tmp_path, str(tmp_path / "username"), "does not exist")


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring of keyring's own interface; locked when it has no passwords."""

    # The library picks its backend among all classes by this; never this one.
    priority = -1

    def __init__(self, passwords: dict[tuple[str, str], str] | None) -> None:
        super().__init__()
        self._passwords = passwords

    def get_password(self, service: str, username: str) -> str | None:
        if self._passwords is None:
            raise keyring.errors.KeyringLocked("hunter2 is locked")
        return self._passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.PasswordSetError


@pytest.fixture
def restored_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def read_keyring(passwords: dict[tuple[str, str], str] | None) -> LoginCredentials:
    keyring.set_keyring(MemoryKeyring(passwords))
    return read_credentials(user_with(Credentials(keyring_service="ibkr")))


@pytest.mark.usefixtures("restored_keyring")
def test_a_keyring() -> None:
    credentials = read_keyring({("ibkr", "papera01"): PASSWORD})
    assert credentials.password.get_secret_value() == PASSWORD


@pytest.mark.usefixtures("restored_keyring")
@pytest.mark.parametrize(
    ("passwords", "words"),
    [
        ({}, "keyring set ibkr papera01"),
        ({("ibkr", "papera01"): ""}, "has no password of papera01"),
        (None, "cannot be read .KeyringLocked."),
    ],
)
def test_a_keyring_without_the_password(
    passwords: dict[tuple[str, str], str] | None, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_keyring(passwords)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_keyring_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingDependencyError, match="pip install 'ib-platform.keyring.'"):
        read_credentials(user_with(Credentials(keyring_service="ibkr")))
