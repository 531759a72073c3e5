"""The table ``assignments``: one row per generation, the newest is in force. One writer: rebalance.

Two planners at the same instant may write the same generation: the row with the larger content
hash wins, and the two never merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_NEWEST = """
SELECT generation, content_hash, created_at, effective_at, contracts, paper_users, calendars
FROM assignments
ORDER BY generation DESC, content_hash DESC
LIMIT 1
"""


class AssignmentContent(Protocol):
    """What a planner decided: parallel tuples and their hash (UInt64)."""

    @property
    def contracts(self) -> tuple[str, ...]: ...
    @property
    def paper_users(self) -> tuple[str, ...]: ...
    @property
    def calendars(self) -> tuple[str, ...]: ...
    @property
    def content_hash(self) -> int: ...


@dataclass(frozen=True)
class StoredAssignment:
    """One generation. Instants are UTC with milliseconds."""

    generation: int
    content_hash: int
    created_at: datetime
    effective_at: datetime
    contracts: tuple[str, ...]
    paper_users: tuple[str, ...]
    calendars: tuple[str, ...]

    def contracts_of(self, paper_user: str) -> tuple[str, ...]:
        """Contract keys that ``paper_user`` streams."""
        pairs = zip(self.contracts, self.paper_users, strict=True)
        return tuple(contract for contract, user in pairs if user == paper_user)


def newest_assignment(client: Client) -> StoredAssignment | None:
    """The assignment in force, None before the first."""
    rows = client.query(_NEWEST).result_rows
    if not rows:
        return None
    generation, content_hash, created_at, effective_at, contracts, users, calendars = rows[0]
    return StoredAssignment(
        generation,
        content_hash,
        created_at.replace(tzinfo=UTC),
        effective_at.replace(tzinfo=UTC),
        tuple(contracts),
        tuple(users),
        tuple(calendars),
    )


def write_assignment(
    client: Client, content: AssignmentContent, grace: float, now: datetime | None = None
) -> int | None:
    """Write ``content`` as the next generation; None when it equals the newest already.

    ``grace``: seconds after ``now`` (default: the current instant) from which a missing frame is a
    gap. A retry with the same content is harmless.
    """
    import pyarrow

    newest = newest_assignment(client)
    if newest is not None and newest.content_hash == content.content_hash:
        return None
    generation = 1 if newest is None else newest.generation + 1
    created_at = now or datetime.now(UTC)
    effective_at = created_at + timedelta(seconds=grace)
    instant = pyarrow.timestamp("ms", tz="UTC")
    names = pyarrow.list_(pyarrow.string())
    table = pyarrow.table(
        {
            "generation": pyarrow.array([generation], pyarrow.uint64()),
            "content_hash": pyarrow.array([content.content_hash], pyarrow.uint64()),
            "created_at": pyarrow.array([_milliseconds(created_at)], instant),
            "effective_at": pyarrow.array([_milliseconds(effective_at)], instant),
            "contracts": pyarrow.array([content.contracts], names),
            "paper_users": pyarrow.array([content.paper_users], names),
            "calendars": pyarrow.array([content.calendars], names),
        }
    )
    token = f"assignment-{generation}-{content.content_hash}"
    client.insert_arrow("assignments", table, settings={"insert_deduplication_token": token})
    return generation


def _milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
