"""The credentials of a paper user, read anew at each login and never kept.

A Secret that was rotated in Kubernetes is therefore picked up by the next login. No error names
what a file holds.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from ib_platform.config_sections import PaperUser
from ib_platform.errors import ConfigurationError, MissingDependencyError

_MOST_BYTES = 4096
_REFUSED_MODE = stat.S_IRWXO | stat.S_IWGRP
_PASSWORD = "password"
_USERNAME = "username"


@dataclass(frozen=True)
class LoginCredentials:
    """What is typed into the login page."""

    username: str
    password: SecretStr


def read_credentials(user: PaperUser) -> LoginCredentials:
    """The username and password of ``user``, read now from what its ``credentials`` name.

    A password is one line of UTF-8; the newline at its end is not part of it, spaces are. Links
    are followed, as Kubernetes and Docker mount secrets. A file that others may use in any way, or
    that its group may write, is refused. Its group may read it: Kubernetes mounts a Secret with
    mode 0440 for a pod with an fsGroup. A ``username`` file in the folder must name the configured
    username.

    Raises:
        ConfigurationError: there are none, or they cannot be used; says which and what to do.
        MissingDependencyError: a keyring is named, and the Python package is not installed.
    """
    source = user.credentials
    if source is None:
        raise ConfigurationError(
            f"paper user {user.name}: the configuration names no credentials, so nobody can log "
            "in. Give this paper user `credentials` with password_file, folder or keyring_service."
        )
    if source.keyring_service is not None:
        return LoginCredentials(user.username, _from_keyring(source.keyring_service, user))
    if source.folder is not None:
        _require_same_username(source.folder / _USERNAME, user)
    file = source.password_file or _password_in(source.folder, user)
    return LoginCredentials(user.username, SecretStr(_line_of(file, user, _PASSWORD)))


def _password_in(folder: Path | None, user: PaperUser) -> Path:
    if folder is None:
        raise ConfigurationError(f"{_where(user)}: no source is named")
    if not folder.is_dir():
        raise ConfigurationError(
            f"{_where(user)}: {folder} is no folder. It must hold a file `{_PASSWORD}`; "
            "credentials.password_file names a single file."
        )
    return folder / _PASSWORD


def _require_same_username(file: Path, user: PaperUser) -> None:
    # A link that leads nowhere is a broken mount, not a missing username.
    if not os.path.lexists(file):
        return
    if _line_of(file, user, _USERNAME) != user.username:
        raise ConfigurationError(
            f"{_where(user)}: {file} names another username than the configuration "
            f"({user.username}). Is it the Secret of another paper user?"
        )


def _line_of(file: Path, user: PaperUser, what: str) -> str:
    """The only line of a file that nobody else can read."""
    content = _content(file, user, what)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: the error of the codec holds the bytes.
        raise _unusable(file, user, "is not UTF-8 text", f"Write the {what} alone.") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if not line.strip():
        raise _unusable(file, user, "is empty", f"Write the {what} into it.")
    if line.splitlines() != [line] or "\0" in line:
        raise _unusable(file, user, "holds more than one line", f"Write the {what} alone.")
    return line


def _content(file: Path, user: PaperUser, what: str) -> bytes:
    try:
        # Not blocking: opening a pipe would wait for its writer.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # What was opened is judged, not what the name leads to a moment later.
            _require_private(file, user, os.fstat(handle))
            content = os.read(handle, _MOST_BYTES + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise _unreadable(file, user, what, error) from error
    if len(content) > _MOST_BYTES:
        problem = f"is longer than {_MOST_BYTES} bytes"
        raise _unusable(file, user, problem, f"Write the {what} alone.")
    return content


def _require_private(file: Path, user: PaperUser, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        hint = "credentials.folder names a folder that holds a file `password`."
        raise _unusable(file, user, f"is {kind}", hint)
    mode = stat.S_IMODE(status.st_mode)
    if mode & _REFUSED_MODE:
        raise _unusable(
            file,
            user,
            f"has mode {mode:04o}, so others than its owner can use it",
            f"`chmod 600 {file}`, or `defaultMode: 0440` for a Secret in Kubernetes.",
        )


def _from_keyring(service: str, user: PaperUser) -> SecretStr:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise MissingDependencyError(
            f"{_where(user)}: keyring_service needs the Python package keyring. Install it with "
            "`pip install 'ib-platform[keyring]'`, or use password_file."
        ) from error
    try:
        password = keyring.get_password(service, user.username)
    except keyring.errors.KeyringError as error:
        # Not chained, and only its kind: a backend may put into its message whatever it likes.
        raise ConfigurationError(
            f"{_where(user)}: the keyring cannot be read ({type(error).__name__}). Unlock it, or "
            "use password_file: a server has no keyring."
        ) from None
    if not password:
        raise ConfigurationError(
            f"{_where(user)}: the keyring has no password of {user.username} for the service "
            f"{service}. Set it with `keyring set {service} {user.username}`."
        )
    return SecretStr(password)


def _where(user: PaperUser) -> str:
    return f"credentials of paper user {user.name}"


def _unusable(file: Path, user: PaperUser, problem: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{_where(user)}: {file} {problem}. {hint}")


def _unreadable(file: Path, user: PaperUser, what: str, error: OSError) -> ConfigurationError:
    if error.errno == errno.ENOENT:
        problem = "does not exist"
    else:
        problem = f"cannot be read ({error.strerror})"
    hint = f"Write the {what} into it, for its owner alone (mode 0600)."
    return _unusable(file, user, problem, hint)
