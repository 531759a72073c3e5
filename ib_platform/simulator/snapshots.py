"""Market data snapshots of one login: what each call may see already. Pure.

At IBKR the first request for a contract only opens it and answers its conid (pre-flight); fields
arrive over the next calls (Web API page, section 2.2). Instants are simulated monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from ib_platform.simulator.parameters import Count, Span, parameters
from ib_platform.simulator.quote_fields import AVAILABILITY, DESCRIPTIVE, FIELDS


@parameters
class SnapshotParameters:
    """``fill_delay``: from the first request of a field to its first value. ``most_conids`` and
    ``most_fields`` of one call. ``needs_search``: contracts whose underlying was not looked up with
    ``secdef/search`` stay without values (IBKR's documents ask for it, clients do without)."""

    fill_delay: Span = (0.0, 1.5)
    most_conids: Count = 100
    most_fields: Count = 50
    needs_search: bool = False


class SnapshotDesk:
    """The contracts that a login has opened by snapshot. ``seed`` draws the delays."""

    def __init__(self, seed: str = "") -> None:
        self._random = Random(f"snapshots/{seed}")
        self._known_from: dict[int, dict[str, float]] = {}
        """Conid -> field -> instant of its first value."""

    def visible(
        self, conid: int, fields: Iterable[str], now: float, fill_delay: Span
    ) -> list[str] | None:
        """Fields with a value by now; None for the pre-flight call, which opens the contract."""
        first = conid not in self._known_from
        known_from = self._known_from.setdefault(conid, {})
        wanted = dict.fromkeys(field for field in fields if field in FIELDS)
        for field in wanted:
            at_once = field == AVAILABILITY or field in DESCRIPTIVE
            delay = 0.0 if at_once else self._random.uniform(*fill_delay)
            known_from.setdefault(field, now + delay)
        return None if first else [field for field in wanted if known_from[field] <= now]

    def close(self, conid: int) -> bool:
        """End one; False if it was not open. The next request is a pre-flight again."""
        return self._known_from.pop(conid, None) is not None

    def close_all(self) -> None:
        self._known_from.clear()

    def __len__(self) -> int:
        return len(self._known_from)
