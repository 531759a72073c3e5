"""The file of the login history: it outlives processes, and locks rather than forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.errors import GatewayError
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.states import PodState


@pytest.fixture
def record(tmp_path: Path) -> LoginRecord:
    return LoginRecord(tmp_path / "spool" / "alpha" / "logins.json")


def test_what_was_saved_is_loaded(record: LoginRecord) -> None:
    history = LoginHistory("papera01", "t1").begun(100.5).locked(PodState.LOCKED, "no", 101.5)
    record.save(history)
    assert LoginRecord(record.file).load("papera01", "t1", 200) == history
    assert record.load("PaperA01", "t1", 200) == history, "usernames know no case"


def test_nothing_is_known_before_the_first_login(record: LoginRecord) -> None:
    assert record.load("papera01", "t1", 200) == LoginHistory("papera01", "t1")


def test_another_token_ends_the_lock(record: LoginRecord) -> None:
    record.save(LoginHistory("papera01", "t1").locked(PodState.LOCKED, "no", 101))
    assert record.load("papera01", "t2", 200).lock is None


def test_another_username_has_its_own_history(record: LoginRecord) -> None:
    record.save(LoginHistory("papera01", "t1").begun(1.0).locked(PodState.LOCKED, "no", 101))
    assert record.load("papera09", "t1", 200) == LoginHistory("papera09", "t1")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"username":1}', b"\xff\xfe"])
def test_a_damaged_record_locks_until_a_person_gives_a_token(
    record: LoginRecord, content: bytes
) -> None:
    record.file.parent.mkdir(parents=True)
    record.file.write_bytes(content)
    history = record.load("papera01", "t1", 200)
    assert history.lock is not None
    assert history.lock.state is PodState.LOCKED
    assert str(record.file) in history.lock.reason
    record.save(history)
    assert record.load("papera01", "t1", 201).lock is not None
    assert record.load("papera01", "t2", 202).lock is None


def test_a_record_that_cannot_be_read_or_written_is_an_error(record: LoginRecord) -> None:
    record.file.mkdir(parents=True)
    with pytest.raises(GatewayError, match="cannot be read"):
        record.load("papera01", "t1", 200)
    with pytest.raises(GatewayError, match="cannot be written"):
        record.save(LoginHistory("papera01"))


def test_no_other_file_is_left(record: LoginRecord) -> None:
    for _ in range(3):
        record.save(LoginHistory("papera01"))
    assert [file.name for file in record.file.parent.iterdir()] == ["logins.json"]
