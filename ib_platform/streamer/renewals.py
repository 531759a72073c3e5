"""Two rare cures that cost more than one ladder's request: renewals and reconnections. PURE."""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.streamer.ladder_watch import Chance, LadderSight, OpenLadder, jittered

RECONNECT_PAUSE = 600.0
"""A silent ladder is worth a new connection once in this time, or up to a fifth later."""
NOTHING_SEEN = LadderSight(market_open=False)


class LadderRenewals:
    """Live ladders are asked for anew every ``period`` seconds, a tenth more or less: None = never.

    One after the other: each has its own instant, and none is renewed before the one before has
    its deeper levels back, or has to be healed.
    """

    def __init__(self, period: float | None, chance: Chance) -> None:
        self._period = period
        self._chance = chance
        self._renewing: str | None = None

    def forget(self) -> None:
        self._renewing = None

    def due(
        self, now: float, ladders: Mapping[str, OpenLadder], sights: Mapping[str, LadderSight]
    ) -> str | None:
        """The ladder to renew now, if any. It counts as renewed."""
        if self._period is None:
            return None
        self._renewing = self._still_renewing(ladders, sights)
        for key, ladder in ladders.items():
            sight = sights.get(key, NOTHING_SEEN)
            if not (sight.live and sight.market_open and ladder.answered(sight)):
                continue
            if ladder.renew_at is None:
                ladder.renew_at = now + jittered(self._period, self._chance())
            elif now >= ladder.renew_at and self._renewing is None:
                self._renewing = key
                return key
        return None

    def _still_renewing(
        self, ladders: Mapping[str, OpenLadder], sights: Mapping[str, LadderSight]
    ) -> str | None:
        key = self._renewing
        ladder = ladders.get(key) if key is not None else None
        if key is None or ladder is None or ladder.vain:
            return None
        sight = sights.get(key, NOTHING_SEEN)
        healed = ladder.answered(sight) and sight.live
        return None if healed or sight.silence is not None else key


class Reconnections:
    """Whether only a new connection may bring a silent ladder back. It costs all ladders: never
    while another one is live, and rarely."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._not_before: float | None = None

    def due(
        self, now: float, ladders: Mapping[str, OpenLadder], sights: Mapping[str, LadderSight]
    ) -> str | None:
        """Why to reconnect now, None when not. It counts as done."""
        too_soon = self._not_before is not None and now < self._not_before
        if too_soon or any(sight.live for sight in sights.values()):
            return None
        for key, ladder in ladders.items():
            if ladder.beyond_requests(now, sights.get(key, NOTHING_SEEN)):
                self._not_before = now + RECONNECT_PAUSE * (1 + 0.2 * self._chance())
                return f"{key} stays silent after {ladder.vain + 1} requests, and no ladder is live"
        return None
