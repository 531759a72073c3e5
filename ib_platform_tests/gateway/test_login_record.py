"""The file of the login history: it outlives processes, and locks rather than forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config_gateway import SessionPolicy
from ib_platform.errors import GatewayError, PlatformInUseError
from ib_platform.gateway import login_record
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.states import PodState


@pytest.fixture
def record(tmp_path: Path) -> LoginRecord:
    return LoginRecord(tmp_path / "spool" / "alpha" / "logins.json")


POLICY = SessionPolicy()


def _load(record: LoginRecord, token: str = "t1", *, username: str = "papera01") -> LoginHistory:
    return record.load(username, token, 200.0, POLICY)


def _history(username: str = "papera01") -> LoginHistory:
    return LoginHistory(username).with_token("t1")


def _locked(username: str = "papera01") -> LoginHistory:
    return _history(username).begun(100.5).locked(PodState.LOCKED, "no", 101.5)


def test_what_was_saved_is_loaded(record: LoginRecord) -> None:
    record.save(_locked())
    assert _load(LoginRecord(record.file)) == _locked()
    assert _load(record, username="PaperA01") == _locked(), "usernames know no case"


def test_nothing_is_known_before_the_first_login(record: LoginRecord) -> None:
    assert _load(record) == _history()


def test_another_token_ends_the_lock(record: LoginRecord) -> None:
    record.save(_locked())
    assert _load(record, "").lock is not None
    assert _load(record, "t2").lock is None


def test_each_username_keeps_its_history(record: LoginRecord) -> None:
    """Changing it in the configuration and back again is no way out of a lock."""
    record.save(_locked())
    other = _load(record, username="papera09")
    assert other.lock is None
    record.save(other.begun(150.0).ended())
    again = LoginRecord(record.file)
    assert _load(again).lock is not None
    assert _load(again, username="papera09").attempts == (150.0,)


def test_a_login_without_an_end_counts_as_refused(record: LoginRecord) -> None:
    record.save(_history().begun(100.0))
    assert _load(record).refused == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"papera01":1}', b"\xff\xfe"])
def test_a_damaged_record_locks_until_a_person_gives_a_token(
    record: LoginRecord, content: bytes
) -> None:
    record.file.parent.mkdir(parents=True)
    record.file.write_bytes(content)
    history = _load(record)
    assert history.lock is not None
    assert history.lock.state is PodState.LOCKED
    assert str(record.file) in history.lock.reason
    record.save(history)
    assert _load(record).lock is not None
    assert _load(record, "t2").lock is None


def test_a_record_that_cannot_be_read_or_written_is_an_error(record: LoginRecord) -> None:
    record.file.mkdir(parents=True)
    with pytest.raises(GatewayError, match="cannot be read"):
        _load(record)
    with pytest.raises(GatewayError, match="cannot be written"):
        record.save(_history())


def test_one_process_owns_it(record: LoginRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_record, "_OWN_WITHIN", 0.05)
    record.own()
    other = LoginRecord(record.file)
    with pytest.raises(PlatformInUseError, match="another gateway supervisor"):
        other.own()
    record.release()
    other.own()
    other.release()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GatewayError, match="cannot be written"):
        LoginRecord(tmp_path / "file" / "logins.json").own()


def test_no_other_file_is_left(record: LoginRecord) -> None:
    for _ in range(3):
        record.save(_history())
    assert [file.name for file in record.file.parent.iterdir()] == ["logins.json"]
