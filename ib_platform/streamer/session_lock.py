"""Whether the supervisor has locked itself, for a streamer that finds no gateway any more.

A locked pod runs no gateway program, so all that a streamer meets is a port where nobody listens.
The record of logins beside the spool says that this is no death, and what ends it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.session import Judgement


def lock_of(record: Path, username: str, unlock_token: Path) -> Judgement | None:
    """What the lock of ``username`` says; None where there is none, or where nobody can tell.

    ``unlock_token``: the file of the token that the supervisor is started with. One that the record
    does not know ends the lock: a supervisor that never came up has not written that yet.
    """
    try:
        known = msgspec.json.decode(record.read_bytes(), type=dict[str, LoginHistory])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        # The supervisor's business: it says what is wrong with its file.
        return None
    history = known.get(username.lower())
    if history is None or history.lock is None:
        return None
    if (token := _read(unlock_token)) and token not in history.unlock_tokens:
        return None
    return Judgement(history.lock.state, history.lock.reason)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
