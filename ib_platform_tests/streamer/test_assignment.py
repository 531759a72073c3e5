"""The newest assignment, from a real ClickHouse and from its copy on disk."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.streamer.assignment import (
    NO_ASSIGNMENT,
    Assignment,
    AssignmentWatcher,
    copy_path,
    load_copy,
    read_newest,
    save_copy,
)
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.connect import connect
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import wait_until

MINE = Assignment(1, {"CL.NYMEX.front": CalendarName.CME_GLOBEX})


@dataclass(frozen=True)
class Content:
    """What a planner would write."""

    contracts: tuple[str, ...] = ("CL.NYMEX.front", "ES.CME.front")
    paper_users: tuple[str, ...] = ("alpha", "beta")
    calendars: tuple[str, ...] = ("cme_globex", "always_open")
    content_hash: int = 1


def _write(settings: ClickHouse, content: Content) -> None:
    client = connect(settings)
    write_assignment(client, content, grace=0)
    client.close()


def _away(folder: Path) -> ClickHouse:
    password = folder / "password"
    password.write_text("x")
    return ClickHouse(port=free_port(), password_file=password)


@pytest.fixture
def paths(tmp_path: Path) -> PodPaths:
    return PodPaths(tmp_path, "alpha")


def test_the_copy_survives_and_lies_beside_the_spool(paths: PodPaths) -> None:
    file = copy_path(paths)
    assert file.parent == paths.spool.parent
    assert not file.is_relative_to(paths.spool)
    assert load_copy(file) is None
    save_copy(file, MINE)
    assert load_copy(file) == MINE


@pytest.mark.parametrize("content", [b"", b"{}", b'{"generation":1,"calendars":{"a":"moon"}}'])
def test_a_copy_that_cannot_be_used_is_said(
    paths: PodPaths, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = copy_path(paths)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert load_copy(file) is None
    assert str(file) in caplog.text


def test_the_newest_generation_counts_and_only_my_part(
    warehouse: ClickHouse, paths: PodPaths
) -> None:
    watcher = AssignmentWatcher(warehouse, paths)
    watcher.poll()
    assert (watcher.known.assignment, watcher.known.problem) == (None, NO_ASSIGNMENT)
    _write(warehouse, Content())
    watcher.poll()
    assert (watcher.known.assignment, watcher.known.source) == (MINE, "clickhouse")
    assert watcher.known.problem is None
    assert load_copy(copy_path(paths)) == MINE
    _write(warehouse, Content(("CL.NYMEX.front",), ("beta",), ("always_open",), 2))
    watcher.poll()
    assert watcher.known.assignment == Assignment(2, {})
    assert watcher.known.problem is not None
    assert "generation 2" in watcher.known.problem


def test_an_assignment_of_another_version_is_an_error(warehouse: ClickHouse) -> None:
    _write(warehouse, Content(("CL.NYMEX.front",), ("alpha",), ("moon",)))
    client = connect(warehouse)
    with pytest.raises(WarehouseError, match="moon"):
        read_newest(client, warehouse, "alpha")
    client.close()


def test_without_clickhouse_the_copy_is_used(tmp_path: Path, paths: PodPaths) -> None:
    save_copy(copy_path(paths), MINE)
    watcher = AssignmentWatcher(_away(tmp_path), paths)
    watcher.poll()
    assert (watcher.known.assignment, watcher.known.source) == (MINE, "disk")
    assert watcher.known.problem is None


def test_without_anything_the_reason_says_what_to_do(tmp_path: Path, paths: PodPaths) -> None:
    watcher = AssignmentWatcher(_away(tmp_path), paths)
    watcher.poll()
    assert watcher.known.assignment is None
    assert watcher.known.problem is not None
    assert "ib-platform rebalance" in watcher.known.problem


def test_what_was_read_stays_when_clickhouse_goes_away(
    warehouse: ClickHouse, paths: PodPaths
) -> None:
    _write(warehouse, Content())
    broken = False

    def connector(settings: ClickHouse, **arguments: object) -> object:
        if broken:
            raise WarehouseError("away")
        return connect(settings)

    watcher = AssignmentWatcher(warehouse, paths, connector=connector)  # type: ignore[arg-type]
    watcher.poll()
    broken = True
    watcher._close()
    watcher.poll()
    assert (watcher.known.assignment, watcher.known.source) == (MINE, "clickhouse")


def test_the_thread_survives_an_error_that_nobody_expected(
    warehouse: ClickHouse, paths: PodPaths, caplog: pytest.LogCaptureFixture
) -> None:
    _write(warehouse, Content())
    tries = 0

    def connector(settings: ClickHouse, **arguments: object) -> object:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise ValueError(f"nobody expected error {tries}")
        return connect(settings)

    watcher = AssignmentWatcher(
        warehouse,
        paths,
        poll_every=0.02,
        connector=connector,  # type: ignore[arg-type]
    )
    watcher.start()
    try:
        wait_until(lambda: watcher.known.assignment == MINE, "the assignment")
    finally:
        watcher.stop()
    assert caplog.text.count("could not be read") == 1


def test_the_same_trouble_is_said_once_whatever_its_query_id(
    tmp_path: Path, paths: PodPaths, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def connector(settings: ClickHouse, **arguments: object) -> object:
        nonlocal tries
        tries += 1
        raise WarehouseError(f"no answer (query {tries})")

    watcher = AssignmentWatcher(
        _away(tmp_path),
        paths,
        connector=connector,  # type: ignore[arg-type]
    )
    for _ in range(3):
        watcher.poll()
    assert caplog.text.count("no answer") == 1
    assert watcher.known.problem is not None
    assert "query 3" in watcher.known.problem


def test_the_thread_follows_and_ends(warehouse: ClickHouse, paths: PodPaths) -> None:
    watcher = AssignmentWatcher(warehouse, paths, poll_every=0.05)
    watcher.start()
    try:
        wait_until(lambda: watcher.known.problem == NO_ASSIGNMENT, "the first look")
        _write(warehouse, Content())
        wait_until(lambda: watcher.known.assignment == MINE, "the assignment")
    finally:
        watcher.stop()
    assert not watcher._thread.is_alive()
