"""What a build reads of its date, and whether it revises a final build of another record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.warehouse.due import Inputs, recorded_inputs
from ib_platform.warehouse.late_inputs import LATE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_BEFORE = """
SELECT run_id, input, rows, highest_seq, toUnixTimestamp64Milli(revised_at) FROM builds
WHERE trade_date = {day:Date}
"""
_KEYS = ("run_id", "input", "rows", "highest_seq")


@dataclass(frozen=True)
class Revision:
    """``inputs``: of the date, as it is recorded now. ``revised_at``: ms since 1970 of the last
    build of another record than the final build before it had; None: there was none."""

    inputs: Inputs
    revised_at: int | None

    @property
    def instant(self) -> datetime | None:
        """``revised_at``, UTC."""
        since = self.revised_at
        return None if since is None else datetime.fromtimestamp(since / 1000, UTC)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``builds``: of the build as a whole, then one for each input."""
        total = sum(rows for _, name, rows, _ in self.inputs if name not in LATE)
        whole = dict(zip(_KEYS, ("", "", total, None), strict=True))
        yield {**whole, "revised_at": self.revised_at}
        for one in sorted(self.inputs, key=lambda row: row[:2]):
            yield {**dict(zip(_KEYS, one, strict=True)), "revised_at": None}


def read_revision(client: Client, trade_date: date, now_ms: int) -> Revision:
    """Read it before anything else is read: what arrives from then on makes the date due again.

    Built again from the same record a date keeps its mark. Raises errors of clickhouse-connect.
    """
    inputs = recorded_inputs(client, trade_date, trade_date).get(trade_date, frozenset())
    rows = [tuple(row) for row in client.query(_BEFORE, {"day": trade_date}).result_rows]
    whole = [row for row in rows if row[0] == ""]
    if not whole:
        return Revision(inputs, None)
    before = frozenset(row[:4] for row in rows if row[0] != "")
    return Revision(inputs, whole[0][4] if before == inputs else now_ms)
