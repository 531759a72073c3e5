"""The table of assignments, on a real ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ib_platform.config import ClickHouse
from ib_platform.fleet.plan import Assignment
from ib_platform.warehouse.assignments import newest_assignment, write_assignment
from ib_platform.warehouse.connect import Client, connect

NOW = datetime(2026, 11, 23, 15, 0, 0, 123456, tzinfo=UTC)
FIRST = Assignment(("CL.NYMEX.front", "ES.CME.front"), ("alpha", "beta"), ("cme_globex",) * 2)
SECOND = replace(FIRST, paper_users=("beta", "beta"))


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Client]:
    connected = connect(warehouse, role="tests")
    yield connected
    connected.close()


def test_before_the_first_there_is_none(client: Client) -> None:
    assert newest_assignment(client) is None


def test_an_assignment_reads_back_as_written(client: Client) -> None:
    assert write_assignment(client, FIRST, 60, NOW) == 1
    found = newest_assignment(client)
    assert found is not None
    assert (found.contracts, found.paper_users, found.calendars) == (
        FIRST.contracts,
        FIRST.paper_users,
        FIRST.calendars,
    )
    assert found.content_hash == FIRST.content_hash
    assert found.created_at == NOW.replace(microsecond=123000)
    assert found.effective_at - found.created_at == timedelta(seconds=60)
    assert found.contracts_of("alpha") == ("CL.NYMEX.front",)
    assert found.contracts_of("nobody") == ()


def test_only_a_change_makes_a_generation(client: Client) -> None:
    written = [write_assignment(client, a, 1) for a in (FIRST, FIRST, SECOND, SECOND, FIRST)]
    assert written == [1, None, 2, None, 3]
    found = newest_assignment(client)
    assert found is not None
    assert (found.generation, found.paper_users) == (3, FIRST.paper_users)
    assert client.query("SELECT count() FROM assignments").result_rows == [(3,)]


def test_of_two_planners_the_larger_hash_wins(client: Client) -> None:
    smaller, larger = sorted((FIRST, SECOND), key=lambda content: content.content_hash)
    write_assignment(client, larger, 60, NOW)
    # The other planner has read the table before that insert, hence writes generation 1 too.
    client.command(
        "INSERT INTO assignments SELECT generation, {h:UInt64}, created_at, effective_at, "
        "contracts, {u:Array(String)}, calendars FROM assignments",
        parameters={"h": smaller.content_hash, "u": list(smaller.paper_users)},
    )
    found = newest_assignment(client)
    assert found is not None
    assert (found.generation, found.content_hash) == (1, larger.content_hash)
