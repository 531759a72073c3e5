"""The file that keeps a username's login history, beside the spool: it outlives process and pod."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from ib_platform.config_gateway import SessionPolicy
from ib_platform.errors import GatewayError, PlatformInUseError
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.states import PodState

logger = logging.getLogger(__name__)
_OWN_WITHIN = 5.0


class LoginRecord:
    """One file of one paper user, with the history of each username that it had. Holds no secret.

    One process owns it, from ``own`` until ``release``.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = FileLock(f"{file}.lock")
        self._others: dict[str, LoginHistory] = {}

    def own(self) -> None:
        """Take the record, or wait a moment for one who is about to end.

        Raises:
            PlatformInUseError: another supervisor of this paper user holds it.
            GatewayError: the folder cannot be written.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_OWN_WITHIN)
        except Timeout as error:
            raise PlatformInUseError(
                f"{self.file}: another gateway supervisor of this paper user runs. One paper user "
                "belongs to one pod: end the other one."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def release(self) -> None:
        self._lock.release()

    def load(
        self, username: str, unlock_token: str, wall: float, policy: SessionPolicy
    ) -> LoginHistory:
        """The history of ``username``, as a process with this unlock token goes on from.

        A file that cannot be understood locks: who knows how many logins were refused. ``wall``:
        Unix seconds.

        Raises:
            GatewayError: the file exists and cannot be read.
        """
        fresh = LoginHistory(username)
        try:
            known = msgspec.json.decode(self.file.read_bytes(), type=dict[str, LoginHistory])
        except FileNotFoundError:
            return fresh.with_token(unlock_token)
        except OSError as error:
            raise GatewayError(
                f"{self.file}: the record of failed logins cannot be read ({error.strerror}). "
                "Nobody logs in without it: make it readable for this user."
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.error("%s: the record of failed logins is damaged: %s", self.file, error)
            reason = f"the record of failed logins {self.file} is damaged"
            # Whatever token it was locked under: only a new one ends this.
            return fresh.with_token(unlock_token).locked(PodState.LOCKED, reason, wall)
        found = known.pop(username.lower(), fresh)
        self._others = known
        return found.resumed(wall, policy).with_token(unlock_token)

    def save(self, history: LoginHistory) -> None:
        """Replace the file as a whole, durably: called before each login.

        Raises:
            GatewayError: it cannot be written; nothing is left of the try.
        """
        content = msgspec.json.encode({**self._others, history.username.lower(): history})
        temporary = self.file.with_name(f".{self.file.name}.new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.file)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> GatewayError:
        return GatewayError(
            f"{self.file}: the record of failed logins cannot be written ({error.strerror}). "
            "Nobody logs in without it: make room, or the folder writable."
        )
