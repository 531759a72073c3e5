"""From the assignment's contract keys to conids, once per assignment and trade date."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime
from http import HTTPStatus

from ib_platform.config_sections import Roll
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.contracts import (
    ContractKey,
    FutureMonth,
    choose_month,
    delivery_note,
    require_exchange,
)
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.streamer.assignment import Assignment
from ib_platform.streamer.contract_facts import ContractFacts, ContractRow, Resolved
from ib_platform.streamer.front_months import FrontMonths
from ib_platform.streamer.rolls import RollMemory
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker

logger = logging.getLogger(__name__)
_AGAIN_AFTER = 60.0
_AFTER_FAILURE = 2.0
_AFTER_PENALTY = 60.0


class ContractDesk:
    """Keeps tracker and subscriptions in step with the assignment."""

    def __init__(
        self,
        tracker: Tracker,
        subscriptions: Subscriptions,
        report: Callable[[ContractRow], None],
        *,
        roll_of: Callable[[str], Roll] = lambda _: Roll(),
        rolls: RollMemory | None = None,
    ) -> None:
        """``report`` takes a row for each contract that was resolved; it must not block.
        ``roll_of`` gives the roll rule of a contract key, whether it is configured or not."""
        self._tracker = tracker
        self._subscriptions = subscriptions
        self._fronts = FrontMonths(roll_of, rolls or RollMemory())
        self._facts = ContractFacts(report, tracker.hours_differ)
        self._followed: tuple[Assignment | None, date] | None = None
        self._calendars: dict[str, CalendarName] = {}
        self._waiting: list[ContractKey] = []
        self._futures: dict[str, tuple[FutureMonth, ...]] = {}
        self._taken: dict[int, str] = {}
        self._noted: set[str] = set()
        self._try_again_at: float | None = None
        self._not_before = 0.0

    async def follow(
        self, assignment: Assignment | None, client: GatewayClient, now: float, at: datetime
    ) -> None:
        """Take the assignment, if it or the trade date is new, and resolve its contracts.

        ``now``: monotonic seconds. A contract that cannot be resolved is NO_DATA with the reason
        and is tried again a minute later; the others stream. A contract that rolls by volume keeps
        its conid until the volumes are known; a few calls later it is decided. Trading hours are
        asked for by calls after that, one at a time.

        Raises:
            GatewayCallError: the gateway did not answer. Calls during the next seconds (a minute
                after a 429) do nothing; those after that try again.
        """
        if now < self._not_before:
            return
        today = trade_date_of(at)
        due = self._try_again_at is not None and now >= self._try_again_at
        try:
            if (assignment, today) != self._followed or due:
                await self._begin(assignment, client, now, today)
                self._followed = (assignment, today)
            elif self._waiting:
                await self._fronts.ask(client, today, now)
                await self._resolve(client, now, today)
            else:
                await self._facts.complete(client, now, at)
        except GatewayCallError as error:
            too_many = error.status == HTTPStatus.TOO_MANY_REQUESTS
            self._not_before = now + (_AFTER_PENALTY if too_many else _AFTER_FAILURE)
            raise
        finally:
            self._subscriptions.desire(self._conids())

    async def _begin(
        self, assignment: Assignment | None, client: GatewayClient, now: float, today: date
    ) -> None:
        self._followed = None
        self._calendars = assignment.calendars if assignment is not None else {}
        self._tracker.assign(self._calendars, now)
        self._facts.keep_only(self._calendars)
        self._try_again_at = None
        self._taken = {}
        parsed = [self._parsed(key) for key in self._calendars]
        self._waiting = [key for key in parsed if key is not None]
        if not self._waiting:
            return
        self._futures = await client.futures({key.symbol for key in self._waiting})
        self._fronts.begin(self._waiting, self._futures, today, now)
        await self._resolve(client, now, today)

    async def _resolve(self, client: GatewayClient, now: float, today: date) -> None:
        """Resolve every contract that waits for nothing more."""
        ready = [key for key in self._waiting if not self._fronts.waits_for(key)]
        for key in ready:
            await self._resolve_one(key, client, now, today)
            self._waiting.remove(key)

    async def _resolve_one(
        self, key: ContractKey, client: GatewayClient, now: float, today: date
    ) -> None:
        name = str(key)
        try:
            month = choose_month(key, self._futures, today, self._fronts.front_from(key, today))
            _require_different(self._taken.setdefault(month.conid, name), name, month)
            details = await self._facts.details(month.conid, client)
            require_exchange(key, month.conid, details.exchange)
        except ConfigurationError as error:
            logger.error("%s", error)
            self._tracker.unresolvable(name, str(error))
            self._try_again_at = now + _AGAIN_AFTER
            return
        note = delivery_note(key, month, details.delivery_month, self._futures[key.symbol])
        if note is not None and note not in self._noted:
            self._noted.add(note)
            logger.warning("%s", note)
        if self._tracker.contracts[name].conid != month.conid:
            code = f"{details.local_symbol}, " if details.local_symbol else ""
            logger.info(
                "contract %s is conid %d (%sexpires %s)", name, month.conid, code, month.expiration
            )
            self._tracker.resolved(name, month.conid, now)
        self._tracker.contracts[name].problem = None
        self._facts.resolved(Resolved(key, month, self._calendars[name], today), now)

    def _parsed(self, key: str) -> ContractKey | None:
        try:
            return ContractKey.parse(key)
        except ConfigurationError as error:
            logger.error("%s", error)
            self._tracker.unresolvable(key, str(error))
            return None

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
