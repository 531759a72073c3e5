"""From the assignment's contract keys to conids, once per assignment and trade date."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.marketdata.calendar import CalendarName, trade_date_of
from ib_platform.marketdata.contracts import ContractKey, FutureMonth, choose_month
from ib_platform.streamer.assignment import Assignment
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker

logger = logging.getLogger(__name__)
_AGAIN_AFTER = 60.0
_AFTER_FAILURE = 2.0
_AFTER_PENALTY = 60.0


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A row of the table ``contracts``; ``multiplier`` None = IBKR did not say."""

    contract: str
    conid: int
    symbol: str
    exchange: str
    calendar: str
    expiry: date
    last_trade_date: date | None
    multiplier: float | None
    resolved_at: datetime


class ContractDesk:
    """Keeps tracker and subscriptions in step with the assignment."""

    def __init__(
        self,
        tracker: Tracker,
        subscriptions: Subscriptions,
        report: Callable[[ContractRow], None],
    ) -> None:
        """``report`` takes a row for each contract that was resolved; it must not block."""
        self._tracker = tracker
        self._subscriptions = subscriptions
        self._report = report
        self._followed: tuple[Assignment | None, date] | None = None
        self._try_again_at: float | None = None
        self._not_before = 0.0

    async def follow(
        self, assignment: Assignment | None, client: GatewayClient, now: float, at: datetime
    ) -> None:
        """Take the assignment, if it or the trade date is new, and resolve its contracts.

        ``now``: monotonic seconds. A contract that cannot be resolved is NO_DATA with the reason
        and is tried again a minute later; the others stream.

        Raises:
            GatewayCallError: the gateway did not answer. Calls during the next seconds (a minute
                after a 429) do nothing; those after that try again.
        """
        if now < self._not_before:
            return
        wanted = (assignment, trade_date_of(at))
        due = self._try_again_at is not None and now >= self._try_again_at
        if wanted == self._followed and not due:
            return
        calendars = assignment.calendars if assignment is not None else {}
        self._tracker.assign(calendars, now)
        self._subscriptions.desire(self._conids())
        if calendars:
            try:
                await self._resolve(calendars, client, now, wanted[1])
            except GatewayCallError as error:
                too_many = error.status == HTTPStatus.TOO_MANY_REQUESTS
                self._not_before = now + (_AFTER_PENALTY if too_many else _AFTER_FAILURE)
                raise
        else:
            self._try_again_at = None
        self._followed = wanted
        self._subscriptions.desire(self._conids())

    async def _resolve(
        self, calendars: dict[str, CalendarName], client: GatewayClient, now: float, today: date
    ) -> None:
        keys = {key: self._parsed(key) for key in calendars}
        symbols = {parsed.symbol for parsed in keys.values() if parsed is not None}
        futures = await client.futures(symbols) if symbols else {}
        self._try_again_at = None
        taken: dict[int, str] = {}
        for key, parsed in keys.items():
            if parsed is None:
                continue
            try:
                month = choose_month(parsed, futures, today)
                _require_different(taken.setdefault(month.conid, key), key, month)
            except ConfigurationError as error:
                logger.error("%s", error)
                self._tracker.unresolvable(key, str(error))
                self._try_again_at = now + _AGAIN_AFTER
                continue
            if self._tracker.contracts[key].conid != month.conid:
                logger.info("contract %s is conid %d (%s)", key, month.conid, month.expiration)
                self._tracker.resolved(key, month.conid, now)
                await self._report_row(key, parsed, month, calendars[key], client)
            self._tracker.contracts[key].problem = None

    def _parsed(self, key: str) -> ContractKey | None:
        try:
            return ContractKey.parse(key)
        except ConfigurationError as error:
            logger.error("%s", error)
            self._tracker.unresolvable(key, str(error))
            return None

    async def _report_row(
        self,
        key: str,
        parsed: ContractKey,
        month: FutureMonth,
        calendar: CalendarName,
        client: GatewayClient,
    ) -> None:
        multiplier = None
        try:
            multiplier = (await client.contract_info(month.conid)).multiplier
        except GatewayCallError as error:
            logger.warning("the multiplier of %s stays unknown: %s", key, error)
        self._report(
            ContractRow(
                contract=key,
                conid=month.conid,
                symbol=parsed.symbol,
                exchange=parsed.exchange,
                calendar=calendar.value,
                expiry=month.expiration,
                last_trade_date=month.last_trade,
                multiplier=multiplier,
                resolved_at=datetime.now(UTC),
            )
        )

    def _conids(self) -> dict[str, int]:
        return {
            key: contract.conid
            for key, contract in self._tracker.contracts.items()
            if contract.assigned and contract.conid is not None and contract.problem is None
        }


def _require_different(first: str, key: str, month: FutureMonth) -> None:
    """One conid has one ladder: its frames can belong to one key only."""
    if first != key:
        raise ConfigurationError(
            f"contract {key}: today it is the same contract as {first} (conid {month.conid}, "
            f"expires {month.expiration}), which is streamed. Remove one of the two months."
        )
