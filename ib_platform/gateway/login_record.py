"""The file that keeps a username's login history, beside the spool: it outlives process and pod."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import msgspec

from ib_platform.errors import GatewayError
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.states import PodState

logger = logging.getLogger(__name__)


class LoginRecord:
    """One file of one paper user. Holds no secret."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def load(self, username: str, unlock_token: str, wall: float) -> LoginHistory:
        """The history of ``username``, as a process with this unlock token goes on from.

        Another username begins a history of its own. A file that cannot be understood locks: who
        knows how many logins were refused. ``wall``: Unix seconds.

        Raises:
            GatewayError: the file exists and cannot be read.
        """
        try:
            known = msgspec.json.decode(self.file.read_bytes(), type=LoginHistory)
        except FileNotFoundError:
            return LoginHistory(username, unlock_token)
        except OSError as error:
            raise GatewayError(
                f"{self.file}: the record of failed logins cannot be read ({error.strerror}). "
                "Nobody logs in without it: make it readable for this user."
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.error("%s: the record of failed logins is damaged: %s", self.file, error)
            reason = f"the record of failed logins {self.file} is damaged"
            # Whatever token it was locked under: only a new one ends this.
            return self._damaged(username, unlock_token, reason, wall)
        if known.username.lower() != username.lower():
            return LoginHistory(username, unlock_token)
        return known.with_token(unlock_token)

    def _damaged(self, username: str, token: str, reason: str, wall: float) -> LoginHistory:
        return LoginHistory(username, token).locked(PodState.LOCKED, reason, wall)

    def save(self, history: LoginHistory) -> None:
        """Replace the file as a whole, durably: called before each login.

        Raises:
            GatewayError: it cannot be written.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(history))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.file)
        except OSError as error:
            raise GatewayError(
                f"{self.file}: the record of failed logins cannot be written ({error.strerror}). "
                "Nobody logs in without it: make room, or the folder writable."
            ) from error
