"""What is recorded about the contracts that were resolved: rows of the table ``contracts``.

The exchange is asked for before a contract is streamed; tick and trading hours may come later. One
fact that IBKR does not tell stays unknown (None) and is asked for again; it stops no stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.marketdata.contract_details import ContractDetails
from ib_platform.marketdata.contracts import ContractKey, FutureMonth
from ib_platform.marketdata.schedule import TradingDay, contradictions
from ib_platform.marketdata.sessions import CalendarName

logger = logging.getLogger(__name__)
_AGAIN_AFTER = 600.0
_STOP_ALL = (401, 429)
"""Answers that concern every call, not only the one that got them."""


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A row of the table ``contracts``. None = IBKR did not say; ``tick`` is in price units;
    ``schedule`` has the spans of the coming days."""

    contract: str
    conid: int
    symbol: str
    exchange: str
    calendar: str
    expiry: date
    last_trade_date: date | None
    multiplier: float | None
    resolved_at: datetime
    trade_date: date
    tick: Decimal | None = None
    schedule_known_at: datetime | None = None
    schedule: tuple[TradingDay, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A contract key and what it means on a trade date."""

    key: ContractKey
    month: FutureMonth
    calendar: CalendarName
    trade_date: date


class ContractFacts:
    """Asks for details and trading hours, and reports rows.

    ``report`` takes a row and must not block; ``warn`` takes a contract key and where IBKR's hours
    of the coming trade dates contradict our calendar (empty: nowhere).
    """

    def __init__(
        self,
        report: Callable[[ContractRow], None],
        warn: Callable[[str, dict[date, str]], None],
    ) -> None:
        self._report = report
        self._warn = warn
        self._details: dict[int, ContractDetails] = {}
        self._resolved: dict[str, Resolved] = {}
        self._due: dict[str, float] = {}
        self._said: set[str] = set()

    async def details(self, conid: int, client: GatewayClient) -> ContractDetails:
        """Of a contract; asked once in a run, nothing known when the gateway refuses.

        Raises:
            GatewayCallError: 401 or 429.
        """
        if conid not in self._details:
            try:
                self._details[conid] = await client.contract_details(conid)
            except GatewayCallError as error:
                if error.status in _STOP_ALL:
                    raise
                logger.warning("tick, multiplier and exchange stay unknown for now: %s", error)
        return self._details.get(conid, ContractDetails())

    def resolved(self, contract: Resolved, now: float) -> None:
        """A contract was resolved (again). ``now``: monotonic seconds. What is new is reported, and
        its hours are asked for with the next ``complete``, once a trade date."""
        name = str(contract.key)
        before = self._resolved.get(name)
        if before == contract:
            return
        self._resolved[name] = contract
        self._due[name] = now
        if before is None or before.month.conid != contract.month.conid:
            self._warn(name, {})
            self._report(self._row(contract))

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the contracts that are not streamed any more."""
        for name in self._resolved.keys() - set(names):
            del self._resolved[name]
            self._due.pop(name, None)

    async def complete(self, client: GatewayClient, now: float, at: datetime) -> None:
        """Ask for what is due, of one contract at most.

        Raises:
            GatewayCallError: 401 or 429.
        """
        name = next((name for name, due in self._due.items() if due <= now), None)
        if name is None:
            return
        contract = self._resolved[name]
        conid = contract.month.conid
        await self.details(conid, client)
        schedule: tuple[TradingDay, ...] | None = None
        try:
            schedule = await client.sessions(conid, contract.key.exchange)
        except GatewayCallError as error:
            if error.status in _STOP_ALL:
                raise
            logger.warning("the trading hours of %s stay unknown for now: %s", name, error)
        known_at = datetime.now(UTC) if schedule is not None else None
        self._report(self._row(contract, known_at, schedule or ()))
        if schedule is not None:
            self._compare(name, contract, schedule, at)
        if schedule is not None and conid in self._details:
            del self._due[name]
        else:
            self._due[name] = now + _AGAIN_AFTER

    def _compare(
        self, name: str, contract: Resolved, schedule: tuple[TradingDay, ...], at: datetime
    ) -> None:
        found = contradictions(schedule, contract.calendar, at)
        for text in found.values():
            said = f"contract {name}: {text}"
            if said not in self._said:
                self._said.add(said)
                logger.warning("%s; silence and gaps are judged by the calendar", said)
        self._warn(name, found)

    def _row(
        self,
        contract: Resolved,
        known_at: datetime | None = None,
        schedule: tuple[TradingDay, ...] = (),
    ) -> ContractRow:
        details = self._details.get(contract.month.conid, ContractDetails())
        return ContractRow(
            contract=str(contract.key),
            conid=contract.month.conid,
            symbol=contract.key.symbol,
            exchange=contract.key.exchange,
            calendar=contract.calendar.value,
            expiry=contract.month.expiration,
            last_trade_date=contract.month.last_trade,
            multiplier=details.multiplier,
            resolved_at=datetime.now(UTC),
            trade_date=contract.trade_date,
            tick=details.tick,
            schedule_known_at=known_at,
            schedule=schedule,
        )
