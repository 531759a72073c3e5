"""Contract keys and conids: what was recorded under a name, trade date by trade date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.warehouse.spans import to_ns

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_RESOLUTIONS = """
SELECT contract, conid, toUnixTimestamp64Milli(resolved_at)
FROM contracts FINAL ORDER BY contract, resolved_at, conid
"""
_REPORTED = """
SELECT DISTINCT assumeNotNull(conid) FROM quality_report WHERE conid IS NOT NULL
"""
_SHOWN = 20


@dataclass(frozen=True)
class Resolution:
    """A contract key meant ``conid`` when it was looked up; ``resolved_at`` in nanoseconds."""

    conid: int
    resolved_at: int


@dataclass(frozen=True)
class NamedContract:
    """A contract key with its resolutions, oldest first; or a conid, which needs none; or a product
    with its rolls in their place. ``key``: None for a conid and a product."""

    name: str
    key: str | None
    resolutions: tuple[Resolution, ...]

    @property
    def conids(self) -> list[int]:
        """All that it ever meant, ascending."""
        return sorted({resolution.conid for resolution in self.resolutions})

    def conid_on(self, trade_date: date) -> int:
        """What it means on a trade date, by the rule of the builds: the newest resolution that was
        made before the date's end, else the first."""
        end = to_ns(trade_date_span(trade_date)[1])
        before = [r for r in self.resolutions if r.resolved_at < end]
        return (before[-1] if before else self.resolutions[0]).conid


class Contracts:
    """Every contract that the warehouse knows."""

    def __init__(
        self, resolutions: Iterable[tuple[str, Resolution]], conids: Iterable[int] = ()
    ) -> None:
        """``resolutions``: by contract key, oldest first. ``conids``: known ones without a key."""
        self._keys: dict[str, list[Resolution]] = {}
        for key, resolution in resolutions:
            self._keys.setdefault(key, []).append(resolution)
        resolved = {r.conid for known in self._keys.values() for r in known}
        self._conids = resolved | set(conids)

    @classmethod
    def read(cls, client: Client) -> Contracts:
        """From tables ``contracts`` and ``quality_report``."""
        rows = client.query(_RESOLUTIONS).result_rows
        reported = client.query(_REPORTED).result_rows
        return cls(
            ((key, Resolution(conid, at * 1_000_000)) for key, conid, at in rows),
            (conid for (conid,) in reported),
        )

    @property
    def keys(self) -> list[str]:
        """Contract keys, ascending."""
        return sorted(self._keys)

    def find(self, contract: str | int) -> NamedContract:
        """``contract``: a key like ``CL.NYMEX.front``, or a conid, as a number, as its digits, or
        as ``conid.304037393``.

        Raises:
            SelectionError: not in the warehouse; the message says what is.
        """
        text = str(contract)
        if text in self._keys:
            return NamedContract(text, text, tuple(self._keys[text]))
        digits = text.removeprefix("conid.")
        if digits.isdecimal() and int(digits) in self._conids:
            return NamedContract(f"conid.{int(digits)}", None, (Resolution(int(digits), 0),))
        raise SelectionError(self._unknown(text))

    def _unknown(self, text: str) -> str:
        if not self._conids:
            return f"no contract {text!r}: nothing was recorded yet"
        capitals = {key.upper(): key for key in self.keys}
        close = get_close_matches(text.upper(), capitals, n=1)
        meant = f" Did you mean {capitals[close[0]]}?" if close else ""
        named = [f"{key} ({_conids(self._keys[key])})" for key in self.keys]
        bare = self._conids - {r.conid for known in self._keys.values() for r in known}
        named += [f"conid.{conid}" for conid in sorted(bare)]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        known = ", ".join(named[:_SHOWN]) + more
        return f"no contract {text!r} in the warehouse.{meant} Known: {known}"


def _conids(resolutions: Sequence[Resolution]) -> str:
    return "conid " + ", ".join(str(c) for c in sorted({r.conid for r in resolutions}))
