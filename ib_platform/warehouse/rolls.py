"""The table ``rolls``: planned from what is recorded, kept up to date, nothing ever overwritten.

Two writers at the same time write the same rows twice, which changes no answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_platform.config import PlatformConfig
from ib_platform.config_sections import Roll
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.continuous import PlannedRoll, Resolution, plan_rolls
from ib_platform.marketdata.contracts import FutureMonth
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DIFFERENCE_WITHIN = timedelta(days=7)
"""How long before a roll both contracts must have had a sound minute: the difference drifts."""


@dataclass(frozen=True)
class RollRow:
    """What a row of ``rolls`` decides; its columns say what they mean (docs/data.md)."""

    product: str
    roll_date: date
    from_conid: int | None
    from_contract: str | None
    to_conid: int
    to_contract: str
    rule: str
    reason: str
    difference: Decimal | None
    difference_at: datetime | None
    difference_reason: str
    withdrawn: bool = False


@dataclass(frozen=True)
class RollPlan:
    """``rows``: the rolls that should be in force, by product and date. ``changes``: rows to append
    for that. ``undated``: contract keys whose conid has no known last trading day, left out."""

    rows: Sequence[RollRow]
    changes: Sequence[RollRow]
    undated: Sequence[str]


_BARS_LEFT = """
SELECT count() FROM bars
WHERE trade_date = {on:Date} AND conid IN ({from_conid:UInt64}, {to_conid:UInt64})
  AND bar_size = '1m'
"""
_NAMES = [field.name for field in fields(RollRow)]
_NEWEST = f"""
SELECT {", ".join(_NAMES)} FROM rolls
ORDER BY decided_at DESC, decided_by LIMIT 1 BY product, to_conid
"""


def plan_of_record(client: Client, config: PlatformConfig, now: datetime) -> RollPlan:
    """The rolls up to the trade date of ``now``, of every product of the configuration that was
    ever resolved. Those of other products stay as they are: their rule is not known."""
    resolutions, undated = _read_resolutions(client)
    known = _read_newest(client)
    wanted: list[RollRow] = []
    for product, roll in _rules(config).items():
        planned = plan_rolls(
            resolutions.get(product, ()), roll.rule, roll.days_before_last_trade,
            trade_date_of(now),
        )  # fmt: skip
        for one in planned:
            row = _row(product, one)
            wanted.append(_with_difference(client, row, known.get((product, row.to_conid))))
    in_force = {(row.product, row.to_conid): row for row in wanted}
    gone = [
        replace(row, withdrawn=True, reason="the plan has this roll no longer")
        for key, row in known.items()
        if row.product in _rules(config) and key not in in_force and not row.withdrawn
    ]
    changed = [row for key, row in in_force.items() if known.get(key) != row]
    return RollPlan(wanted, changed + gone, undated)


def write_changes(client: Client, plan: RollPlan, decided_by: str, now: datetime) -> int:
    """Append the changes of ``plan``; returns how many. ``decided_by``: what or who decided."""
    if plan.changes:
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        client.insert(
            "rolls",
            [[*astuple(row), decided_by, at] for row in plan.changes],
            [*_NAMES, "decided_by", "decided_at"],
        )
    return len(plan.changes)


def _rules(config: PlatformConfig) -> dict[str, Roll]:
    """By product. Where a product stands several times, the rule of its ``front`` counts."""
    rules: dict[str, Roll] = {}
    for contract in config.contracts:
        product = f"{contract.symbol}.{contract.exchange}"
        if product not in rules or "front" in contract.months:
            rules[product] = contract.roll
    return rules


def _read_resolutions(client: Client) -> tuple[dict[str, list[Resolution]], list[str]]:
    """Resolutions by product, and the contract keys of conids without any known last day."""
    rows = list(client.query(query("resolutions")).named_results())
    dated = {row["conid"]: row for row in rows if row["expiry"] or row["last_trade_date"]}
    found: dict[str, list[Resolution]] = defaultdict(list)
    undated: dict[str, None] = {}
    for row in rows:
        product, conid = f"{row['symbol']}.{row['exchange']}", row["conid"]
        if conid not in dated:
            undated[f"{product}.{row['word']} (conid {conid})"] = None
            continue
        # A date that IBKR did not tell at one time it may have told at another.
        facts = row if row["expiry"] or row["last_trade_date"] else dated[conid]
        last_trade = facts["last_trade_date"]
        contract = FutureMonth(
            row["symbol"], conid, date_of(facts["expiry"] or last_trade),
            None if last_trade is None else date_of(last_trade),
        )  # fmt: skip
        resolved_at, day = _utc(row["resolved_at"]), row["trade_date"]
        resolved_on = trade_date_of(resolved_at) if day is None else date_of(day)
        found[product].append(Resolution(row["word"], contract, resolved_on, resolved_at))
    return found, list(undated)


def _read_newest(client: Client) -> dict[tuple[str, int], RollRow]:
    rows = [dict(row) for row in client.query(_NEWEST).named_results()]
    for row in rows:
        row["roll_date"] = date_of(row["roll_date"])
        row["difference_at"] = row["difference_at"] and _utc(row["difference_at"])
    return {(row["product"], row["to_conid"]): RollRow(**row) for row in rows}


def _row(product: str, planned: PlannedRoll) -> RollRow:
    old, new = planned.previous, planned.contract
    return RollRow(
        product=product,
        roll_date=planned.roll_date,
        from_conid=None if old is None else old.conid,
        from_contract=None if old is None else f"{product}.{old.month}",
        to_conid=new.conid,
        to_contract=f"{product}.{new.month}",
        rule=planned.rule,
        reason=planned.reason,
        difference=None,
        difference_at=None,
        difference_reason="nothing is before the first contract",
    )


def _with_difference(client: Client, row: RollRow, known: RollRow | None) -> RollRow:
    if row.from_conid is None:
        return row
    if known is not None and _bars_are_gone(client, row, known):
        return replace(
            row,
            difference=known.difference,
            difference_at=known.difference_at,
            difference_reason=known.difference_reason,
        )
    bound = {**_bound(row), "read_from": row.roll_date - DIFFERENCE_WITHIN}
    (answer,) = client.query(query("roll_difference"), bound).named_results()
    if answer["difference_at"] is not None:
        return replace(
            row,
            difference=answer["difference"],
            difference_at=_utc(answer["difference_at"]),
            difference_reason="",
        )
    return replace(row, difference_reason=_why_unknown(row, answer))


def _bars_are_gone(client: Client, row: RollRow, known: RollRow) -> bool:
    """Whether ``known`` has the difference of this roll from bars that retention has dropped."""
    roll = (row.roll_date, row.from_conid, row.to_conid)
    if known.difference_at is None or roll != (known.roll_date, known.from_conid, known.to_conid):
        return False
    bound = {**_bound(row), "on": trade_date_of(known.difference_at)}
    (bars,) = client.query(_BARS_LEFT, bound).result_rows[0]
    return not bars


def _bound(row: RollRow) -> dict[str, object]:
    return {"from_conid": row.from_conid, "to_conid": row.to_conid, "roll_date": row.roll_date}


def _why_unknown(row: RollRow, minutes: Mapping[str, int]) -> str:
    counts = (
        (row.from_contract, minutes["old_minutes"]),
        (row.to_contract, minutes["new_minutes"]),
    )
    without = [str(contract) for contract, found in counts if not found]
    what = f"no sound 1m bar of {' and of '.join(without)}" if without else "no common sound minute"
    return (
        f"{what} on the trade dates from {row.roll_date - DIFFERENCE_WITHIN} to before "
        f"{row.roll_date}: record {row.product}.next beside {row.product}.front to have both"
    )


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
