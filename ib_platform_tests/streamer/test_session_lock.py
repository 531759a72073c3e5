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
    assert lock_of(record.file, "paperA01") == Judgement(state, "refused")
    assert lock_of(record.file, "another") is None


def test_no_lock(tmp_path: Path) -> None:
    record = LoginRecord(tmp_path / "logins.json")
    assert lock_of(record.file, "papera01") is None
    record.save(LoginHistory("papera01").begun(1.0))
    assert lock_of(record.file, "papera01") is None


def test_a_damaged_record_is_the_supervisors_business(tmp_path: Path) -> None:
    (tmp_path / "logins.json").write_bytes(b"\xff{")
    assert lock_of(tmp_path / "logins.json", "papera01") is None
