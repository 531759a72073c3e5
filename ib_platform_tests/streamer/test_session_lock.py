"""A streamer tells a lock from a gateway that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.session import Judgement
from ib_platform.states import PodState
from ib_platform.streamer.session_lock import lock_of


@pytest.mark.parametrize("state", [PodState.LOCKED, PodState.REFUSED_LIVE])
def test_a_lock_that_the_supervisor_has_written(tmp_path: Path, state: PodState) -> None:
    record = LoginRecord(tmp_path / "logins.json")
    record.save(LoginHistory("PaperA01").locked(state, "refused", 1.0))
    assert lock_of(record.file, "paperA01", tmp_path / "token") == Judgement(state, "refused")
    assert lock_of(record.file, "another", tmp_path / "token") is None


def test_no_lock(tmp_path: Path) -> None:
    record = LoginRecord(tmp_path / "logins.json")
    assert lock_of(record.file, "papera01", tmp_path / "token") is None
    record.save(LoginHistory("papera01").begun(1.0))
    assert lock_of(record.file, "papera01", tmp_path / "token") is None


def test_a_damaged_record_is_the_supervisors_business(tmp_path: Path) -> None:
    (tmp_path / "logins.json").write_bytes(b"\xff{")
    assert lock_of(tmp_path / "logins.json", "papera01", tmp_path / "token") is None


def test_a_lock_that_a_token_has_ended_is_none_though_no_supervisor_came_up(
    tmp_path: Path,
) -> None:
    record, token = LoginRecord(tmp_path / "logins.json"), tmp_path / "token"
    history = LoginHistory("papera01").with_token("first").locked(PodState.LOCKED, "refused", 1.0)
    record.save(history)
    token.write_text("first\n")
    assert lock_of(record.file, "papera01", token) is not None, "it was locked under this one"
    token.write_text("second\n")
    assert lock_of(record.file, "papera01", token) is None
