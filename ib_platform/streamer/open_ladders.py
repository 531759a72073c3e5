"""The ladders that one connection has asked for, and each request for one of them. PURE.

Every request of a ladder goes through ``ask``: so the probe sees them all.
"""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.states import Cause
from ib_platform.streamer.capability import CapabilityProbe
from ib_platform.streamer.ladder_watch import (
    QUOTE_RENEWAL,
    Chance,
    LadderSight,
    OpenLadder,
    jittered,
)
from ib_platform.streamer.requests import Request, ladder_request, quote_request, silence


class OpenLadders:
    """Ladders of one account with their quotes. Instants are monotonic seconds."""

    def __init__(self, account: str, chance: Chance, probe: CapabilityProbe) -> None:
        self._account = account
        self._chance = chance
        self._probe = probe
        self._interrupted: dict[str, Cause] = {}
        self.by_key: dict[str, OpenLadder] = {}
        """By contract key, in the order in which they were asked for."""

    @property
    def conids(self) -> dict[str, int]:
        """By contract key, what each was asked for."""
        return {key: ladder.conid for key, ladder in self.by_key.items()}

    def forget(self, cause: Cause | None) -> None:
        """All of them have ended. The next request of each names the ``cause``, if there is one."""
        if cause is not None:
            self._interrupted.update(dict.fromkeys(self.by_key, cause))
        self.by_key.clear()

    def forget_one(self, key: str, cause: Cause | None) -> None:
        """This one has ended. Its next request names the ``cause``, if there is one."""
        if cause is not None:
            self._interrupted[key] = cause
        del self.by_key[key]

    def open(
        self, key: str, conid: int, now: float, sights: Mapping[str, LadderSight]
    ) -> list[Request]:
        """Ask for one more ladder, and for its quote."""
        self.by_key[key] = OpenLadder(conid, now)
        cause = self._interrupted.pop(key, None)
        return [self.ask(key, now, sights, cause, "new"), self.ask_quote(key, now, "new")]

    def ask(
        self,
        key: str,
        now: float,
        sights: Mapping[str, LadderSight],
        cause: Cause | None,
        why: str,
        *,
        vain: int = 0,
    ) -> Request:
        """Ask for an open ladder. ``vain``: requests in a row before it without an answer."""
        ladder = self.by_key[key]
        ladder.asked(now, vain=vain)
        self._probe.requested(key, now, sights)
        return ladder_request(self._account, key, ladder.conid, cause, why)

    def ask_quote(self, key: str, now: float, why: str) -> Request:
        """Ask for the quote of an open ladder."""
        ladder = self.by_key[key]
        ladder.quote_due_at = now + jittered(QUOTE_RENEWAL, self._chance())
        return quote_request(key, ladder.conid, why)

    def watch(
        self, key: str, sight: LadderSight, now: float, sights: Mapping[str, LadderSight]
    ) -> list[Request]:
        """Say that a ladder is silent, and ask again for one that has to be."""
        ladder = self.by_key[key]
        ladder.look(now, sight)
        requests = []
        if sight.silence is not None and sight.market_open and sight.silence != ladder.reported:
            requests.append(silence(key, ladder.conid, sight.silence, sight.reason))
        if sight.market_open:
            ladder.reported = sight.silence
        if ladder.anew is not None:
            cause, why, vain = ladder.anew, "loss", 0
        elif (again := ladder.why_again(now, sight)) is not None:
            cause, why = sight.cause, again
            vain = 0 if ladder.answered(sight) else ladder.vain + 1
        else:
            return requests
        ladder.anew = None
        requests.append(self.ask(key, now, sights, cause, why, vain=vain))
        if why != "loss" and sight.entitled is not True:
            # Its quote may say by now why nothing comes, or that it has become another.
            requests.append(self.ask_quote(key, now, why))
        return requests
