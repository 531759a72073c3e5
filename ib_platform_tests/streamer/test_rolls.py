"""What is remembered about rolls outlives a run, and a bad disk costs only the memory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ib_platform.paths import PodPaths
from ib_platform.streamer.rolls import Decision, RollMemory, rolls_path

DECISION = Decision(date(2026, 11, 24), date(2026, 12, 18))


def test_decisions_outlive_the_process(tmp_path: Path) -> None:
    file = rolls_path(PodPaths(tmp_path, "alpha"))
    memory = RollMemory(file)
    assert memory.of("CL.NYMEX") is None
    memory.decide("CL.NYMEX", DECISION)
    assert RollMemory(file).of("CL.NYMEX") == DECISION
    assert RollMemory(file).of("ES.CME") is None
    assert [path.name for path in file.parent.iterdir()] == ["alpha.rolls.json"]


def test_without_a_file_they_are_of_this_process(tmp_path: Path) -> None:
    memory = RollMemory()
    memory.decide("CL.NYMEX", DECISION)
    assert memory.of("CL.NYMEX") == DECISION


@pytest.mark.parametrize("content", [b"", b"[]", b'{"CL.NYMEX":{"trade_date":"x"}}', b"\xff"])
def test_a_file_that_cannot_be_read_is_said_and_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "alpha.rolls.json"
    file.write_bytes(content)
    memory = RollMemory(file)
    assert memory.of("CL.NYMEX") is None
    assert str(file) in caplog.text
    memory.decide("CL.NYMEX", DECISION)
    assert RollMemory(file).of("CL.NYMEX") == DECISION


def test_a_disk_that_refuses_costs_the_memory_of_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    memory = RollMemory(tmp_path / "spool" / "alpha.rolls.json")
    memory.decide("CL.NYMEX", DECISION)
    assert memory.of("CL.NYMEX") == DECISION
    assert "the roll of CL.NYMEX could not be kept" in caplog.text
