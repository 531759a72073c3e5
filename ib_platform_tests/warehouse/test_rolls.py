"""The table ``rolls``: what is planned from the record, and how decisions supersede each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.rolls import RollPlan, plan_of_record, write_changes
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.series import (
    ES,
    WHEN,
    Bar,
    closes,
    insert_bars,
    resolve,
    resolve_two_rolls,
)

FRIDAY, ROLL = date(2026, 9, 18), date(2026, 9, 21)
SECOND_ROLL = date(2026, 12, 21)


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        yield opened


def config_of(warehouse: ClickHouse, folder: Path, **roll: Any) -> PlatformConfig:
    return make_config(
        folder,
        clickhouse=warehouse.model_dump(),
        contracts=[{"symbol": "ES", "exchange": "CME", "months": ["front", "next"], "roll": roll}],
    )


@pytest.fixture
def config(warehouse: ClickHouse, tmp_path: Path) -> PlatformConfig:
    return config_of(warehouse, tmp_path)


def stored(client: Any) -> int:
    return int(client.query("SELECT count() FROM rolls").result_rows[0][0])


def in_force(client: Any) -> list[tuple[Any, ...]]:
    return list(
        client.query(
            "SELECT roll_date, from_conid, to_conid, difference FROM current_rolls "
            "ORDER BY roll_date"
        ).result_rows
    )


def keep(client: Any, config: PlatformConfig, now: datetime = WHEN) -> RollPlan:
    plan = plan_of_record(client, config, now)
    write_changes(client, plan, "test", now)
    return plan


def test_two_rolls_by_hand(client: Any, config: PlatformConfig) -> None:
    resolve_two_rolls(client)
    insert_bars(
        client,
        [
            Bar(1, FRIDAY, 10, "6500"), Bar(2, FRIDAY, 10, "6550"),
            Bar(1, FRIDAY, 11, "6501.25"), Bar(2, FRIDAY, 11, "6552.5"),
            Bar(1, FRIDAY, 12, "6502"), Bar(2, FRIDAY, 13, "6553"),
            Bar(2, date(2026, 12, 18), 5, "7000"), Bar(3, date(2026, 12, 18), 5, "6995.5"),
        ],
    )  # fmt: skip
    plan = keep(client, config)
    begins, first, second = plan.rows
    assert (begins.from_conid, begins.to_contract) == (None, "ES.CME.2026-09")
    assert begins.difference is None
    assert (first.from_contract, first.to_contract) == ("ES.CME.2026-09", "ES.CME.2026-12")
    # Minute 11 is the last one that both have: 6552.5 - 6501.25.
    assert first.difference == Decimal("51.25")
    assert first.difference_at == Bar(1, FRIDAY, 11, None).start
    assert first.difference_reason == ""
    assert second.difference == Decimal("-4.5")
    assert in_force(client) == [
        (date(2026, 8, 3), None, 1, None),
        (ROLL, 1, 2, Decimal("51.25")),
        (SECOND_ROLL, 2, 3, Decimal("-4.5")),
    ]


@pytest.mark.parametrize(
    "unsound",
    [
        Bar(2, FRIDAY, 30, "1", sound=False),
        Bar(2, FRIDAY, 30, "1", crossed=1),
        Bar(2, FRIDAY, 30, None),
        Bar(2, FRIDAY, 30, "1", size="1s"),
        Bar(2, ROLL, 30, "1"),
    ],
    ids=["not complete", "crossed", "no mid", "another size", "after the roll"],
)
def test_only_sound_minutes_before_the_roll_make_a_difference(
    client: Any, config: PlatformConfig, unsound: Bar
) -> None:
    resolve_two_rolls(client)
    both = replace(unsound, conid=1, close="2", sound=True, crossed=0)
    insert_bars(client, [unsound, both, Bar(1, FRIDAY, 10, "100"), Bar(2, FRIDAY, 10, "103")])
    assert plan_of_record(client, config, WHEN).rows[1].difference == 3


@pytest.mark.parametrize(
    ("bars", "words"),
    [
        (
            [Bar(1, FRIDAY, 10, "100")],
            "no sound 1m bar of ES.CME.2026-12 on the trade dates from 2026-09-14 to before "
            "2026-09-21: record ES.CME.next beside ES.CME.front to have both",
        ),
        (
            [Bar(1, FRIDAY, 10, "100"), Bar(2, FRIDAY, 11, "100")],
            "no common sound minute on the trade dates",
        ),
        (
            [Bar(1, date(2026, 9, 11), 1, "100"), Bar(2, date(2026, 9, 11), 1, "100")],
            "no sound 1m bar of ES.CME.2026-09 and of ES.CME.2026-12 on the trade dates",
        ),
    ],
    ids=["one only", "never together", "too long before"],
)
def test_an_unknown_difference_says_why(
    client: Any, config: PlatformConfig, bars: list[Bar], words: str
) -> None:
    resolve_two_rolls(client)
    insert_bars(client, bars)
    row = keep(client, config).rows[1]
    assert (row.difference, row.difference_at) == (None, None)
    assert row.difference_reason.startswith(words)


def test_a_roll_moves_the_adjusted_series_by_the_new_contracts_own_move(
    client: Any, config: PlatformConfig
) -> None:
    resolve_two_rolls(client)
    insert_bars(
        client,
        [
            Bar(1, FRIDAY, 10, "6500"), Bar(2, FRIDAY, 10, "6550"),
            Bar(1, ROLL, 0, "1"), Bar(2, ROLL, 0, "6553.25"),
        ],
    )  # fmt: skip
    keep(client, config, datetime(2026, 9, 22, tzinfo=UTC))
    (_, before), (_, after) = closes(client, "back_adjusted_mid_close")
    assert after - before == Decimal("6553.25") - Decimal(6550)
    (_, before), (_, after) = closes(client)
    assert after - before == Decimal("53.25"), "unadjusted, it jumps by the difference"


def test_the_same_plan_is_written_once(client: Any, config: PlatformConfig) -> None:
    resolve_two_rolls(client)
    insert_bars(client, [Bar(1, FRIDAY, 10, "100"), Bar(2, FRIDAY, 10, "101")])
    assert len(keep(client, config).changes) == 3
    again = plan_of_record(client, config, WHEN)
    assert again.changes == []
    assert len(again.rows) == 3
    assert write_changes(client, again, "test", WHEN) == 0
    assert stored(client) == 3


def test_what_is_known_later_supersedes_and_what_was_stays(
    client: Any, config: PlatformConfig
) -> None:
    resolve_two_rolls(client)
    keep(client, config)
    insert_bars(client, [Bar(1, FRIDAY, 10, "100"), Bar(2, FRIDAY, 10, "101")])
    later = WHEN + timedelta(days=1)
    assert [row.to_conid for row in keep(client, config, later).changes] == [2]
    assert in_force(client)[1] == (ROLL, 1, 2, Decimal(1))
    history = client.query(
        "SELECT difference, decided_by, decided_at FROM rolls WHERE to_conid = 2 "
        "ORDER BY decided_at"
    ).result_rows
    assert [(row[0], row[1]) for row in history] == [(None, "test"), (Decimal(1), "test")]
    assert history[1][2].replace(tzinfo=UTC) == later


def test_another_rule_moves_the_roll(
    client: Any, warehouse: ClickHouse, config: PlatformConfig, tmp_path: Path
) -> None:
    resolve_two_rolls(client)
    keep(client, config)
    earlier = config_of(warehouse, tmp_path, days_before_last_trade=4)
    keep(client, earlier, WHEN + timedelta(days=1))
    assert [row[0] for row in in_force(client)] == [
        date(2026, 8, 3), date(2026, 9, 15), date(2026, 12, 15),
    ]  # fmt: skip


def test_a_month_that_turns_up_late_stands_between(client: Any, config: PlatformConfig) -> None:
    resolve(client, "front", 1, date(2026, 8, 3))
    resolve(client, "front", 3, date(2026, 12, 21))
    keep(client, config)
    assert [row[:3] for row in in_force(client)][1:] == [(ROLL, 1, 3)]
    resolve(client, "front", 2, date(2026, 9, 21))
    keep(client, config, WHEN + timedelta(days=1))
    assert [row[:3] for row in in_force(client)][1:] == [(ROLL, 1, 2), (SECOND_ROLL, 2, 3)]


def test_a_roll_that_is_not_planned_any_more_is_withdrawn_and_may_come_back(
    client: Any, warehouse: ClickHouse, config: PlatformConfig, tmp_path: Path
) -> None:
    resolve_two_rolls(client)
    by_volume = config_of(warehouse, tmp_path, rule="volume")
    early = datetime(2026, 12, 15, tzinfo=UTC)
    resolve(client, "front", 3, date(2026, 12, 10))
    keep(client, by_volume, early)
    assert in_force(client)[2][:3] == (date(2026, 12, 10), 2, 3)
    plan = keep(client, config, early + timedelta(minutes=1))
    (gone,) = [row for row in plan.changes if row.withdrawn]
    assert (gone.to_conid, gone.reason) == (3, "the plan has this roll no longer")
    assert len(in_force(client)) == 2
    assert plan_of_record(client, config, early + timedelta(minutes=2)).changes == []
    keep(client, config, WHEN)
    assert in_force(client)[2][:3] == (SECOND_ROLL, 2, 3)


def test_a_known_difference_outlives_the_bars_that_retention_drops(
    client: Any, config: PlatformConfig
) -> None:
    resolve_two_rolls(client)
    insert_bars(client, [Bar(1, FRIDAY, 10, "100"), Bar(2, FRIDAY, 10, "101")])
    keep(client, config)
    client.command(f"ALTER TABLE bars DROP PARTITION '{FRIDAY}'")
    plan = plan_of_record(client, config, WHEN)
    assert (plan.rows[1].difference, plan.changes) == (Decimal(1), [])
    # Bars that are there and not sound are another matter: the date was revised.
    insert_bars(client, [Bar(1, FRIDAY, 10, "100", sound=False), Bar(2, FRIDAY, 10, "101")])
    assert plan_of_record(client, config, WHEN).rows[1].difference is None


def test_a_contract_without_a_date_is_left_out_and_named(
    client: Any, config: PlatformConfig
) -> None:
    resolve_two_rolls(client)
    resolve(client, "2027-06", 8, date(2026, 8, 3))
    plan = plan_of_record(client, config, WHEN)
    assert plan.undated == ["ES.CME.2027-06 (conid 8)"]
    assert len(plan.rows) == 3


def test_products_that_are_not_configured_stay_as_they_are(
    client: Any, warehouse: ClickHouse, config: PlatformConfig, tmp_path: Path
) -> None:
    resolve_two_rolls(client)
    keep(client, config)
    other = make_config(
        tmp_path,
        clickhouse=warehouse.model_dump(),
        contracts=[{"symbol": "CL", "exchange": "NYMEX"}],
    )
    plan = plan_of_record(client, other, WHEN)
    assert (plan.rows, plan.changes) == ([], [])
    assert len(in_force(client)) == 3


@pytest.mark.parametrize(
    ("resolved_at", "begins"),
    [
        (datetime(2026, 7, 30, 12, tzinfo=UTC), date(2026, 7, 30)),
        # A Friday evening belongs to Monday.
        (datetime(2026, 7, 31, 22, tzinfo=UTC), date(2026, 8, 3)),
    ],
)
def test_rows_older_than_the_column_trade_date_count_by_their_instant(
    client: Any, config: PlatformConfig, resolved_at: datetime, begins: date
) -> None:
    client.insert(
        "contracts",
        [[f"{ES}.front", 1, "ES", "CME", "cme_globex", date(2026, 9, 18), resolved_at]],
        ["contract", "conid", "symbol", "exchange", "calendar", "expiry", "resolved_at"],
    )
    assert plan_of_record(client, config, WHEN).rows[0].roll_date == begins
