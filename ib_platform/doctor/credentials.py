"""Credentials of the paper users: readable, private, and of one user each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.credentials import read_credentials
from ib_platform.doctor.finding import Finding, ok, problem, warning
from ib_platform.errors import ConfigurationError, MissingDependencyError

CREDENTIALS = "credentials"


def check_credentials(config: PlatformConfig) -> Iterator[Finding]:
    """Each paper user's, read as a login would; nothing of them is shown."""
    simulated = config.gateway.program == "simulator" and config.gateway.simulator.logged_in
    for user in config.paper_users:
        if user.credentials is None and simulated:
            yield ok(
                CREDENTIALS, f"paper user {user.name}: none needed, the simulator is logged in"
            )
        else:
            yield _of(user)
    yield from _shared(config)


def _of(user: PaperUser) -> Finding:
    if user.credentials is None:
        return warning(
            CREDENTIALS,
            f"paper user {user.name} has none: nobody logs in, and an ended login stays ended",
            "Give it `credentials` with password_file, folder or keyring_service, unless a person "
            "logs in.",
        )
    try:
        read_credentials(user)
    except (ConfigurationError, MissingDependencyError) as error:
        remedy = "Correct what the text names; `chmod 600` makes a file private."
        return problem(CREDENTIALS, f"{error} {user.name} cannot log in.", remedy)
    return ok(CREDENTIALS, f"paper user {user.name}: readable and private")


def _shared(config: PlatformConfig) -> Iterator[Finding]:
    """Two pods that log in with one password file are two logins of one user, or one that fails."""
    files = {user.name: _file_of(user) for user in config.paper_users}
    for (one, file), (other, other_file) in combinations(files.items(), 2):
        if file is not None and other_file is not None and _is_same(file, other_file):
            yield problem(
                CREDENTIALS,
                f"paper users {one} and {other} read the same file {file}: one of them logs in "
                "with the password of the other, and refused logins lock a user",
                "Give each paper user a file or folder of its own.",
            )


def _file_of(user: PaperUser) -> Path | None:
    source = user.credentials
    if source is None or source.keyring_service is not None:
        return None
    return source.password_file or (source.folder / "password" if source.folder else None)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
