"""Which month ``front`` means, by the roll rule of each contract's configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from ib_platform.config_sections import Roll
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.marketdata.contracts import ContractKey, FutureMonth
from ib_platform.marketdata.roll import latest_roll, roll_by_volume
from ib_platform.streamer.rolls import Decision, RollMemory
from ib_platform.streamer.volume_question import VolumeQuestion

logger = logging.getLogger(__name__)
_COMPARED_MONTHS = 4
Futures = Mapping[str, Sequence[FutureMonth]]


class FrontMonths:
    """Decides once a trade date and product, from volumes where the rule says so.

    ``roll_of`` gives the rule of a contract key. Volumes are those of the running session: asked
    for at the border of the trade date, which lies in the daily break, they are those of the
    session that has just ended.
    """

    def __init__(self, roll_of: Callable[[str], Roll], memory: RollMemory) -> None:
        self._roll_of = roll_of
        self._memory = memory
        self._question: VolumeQuestion | None = None
        self._asked: dict[str, tuple[date, tuple[FutureMonth, ...]]] = {}

    def begin(self, keys: Iterable[ContractKey], futures: Futures, today: date, now: float) -> None:
        """Find out which products need volumes on ``today``. ``now``: monotonic seconds."""
        self._asked = {}
        for key in keys:
            if self._decides_by_volume(key) and not self._is_decided(key, today):
                front_from = self.front_from(key, today)
                months = [m for m in futures.get(key.symbol, ()) if m.last_day >= front_from]
                if len(months) > 1:
                    self._asked[key.product] = (front_from, tuple(months[:_COMPARED_MONTHS]))
        conids = [month.conid for _, months in self._asked.values() for month in months]
        self._question = VolumeQuestion(conids, now) if conids else None

    def waits_for(self, key: ContractKey) -> bool:
        """Whether ``key`` cannot be resolved before its volumes are known."""
        return self._decides_by_volume(key) and key.product in self._asked

    def front_from(self, key: ContractKey, today: date) -> date:
        """What ``front`` of the key's product means on ``today``, see ``marketdata.roll``."""
        roll = self._roll_of(str(key))
        latest = latest_roll(today, roll.days_before_last_trade)
        decided = self._memory.of(key.product) if roll.rule == "volume" else None
        return latest if decided is None else max(latest, decided.front_from)

    async def ask(self, client: GatewayClient, today: date, now: float) -> None:
        """One call for the volumes, if some are missing. When it was the last one, the products
        that waited for it are decided.

        Raises:
            GatewayCallError: 401 or 429.
        """
        if self._question is None or not await self._question.ask(client, now):
            return
        volumes, self._question = self._question.volumes, None
        for product, (front_from, months) in self._asked.items():
            decided = roll_by_volume(months, volumes, front_from)
            traded = {m.month: volumes.get(m.conid) for m in months}
            logger.info("%s: front trades until %s or later; volumes %s", product, decided, traded)
            self._memory.decide(product, Decision(today, decided))
        self._asked = {}

    def _decides_by_volume(self, key: ContractKey) -> bool:
        return key.month in ("front", "next") and self._roll_of(str(key)).rule == "volume"

    def _is_decided(self, key: ContractKey, today: date) -> bool:
        decision = self._memory.of(key.product)
        return decision is not None and decision.trade_date >= today
