"""Which requests to send over the websocket, and when. PURE: clocks and chance are arguments.

A request that is sent too early is dropped silently by the gateway, and a ladder may fall silent
while heartbeats go on (observed page; reference section 3.6): so what was asked for is compared
with what arrives, again and again. A ladder is re-requested when it is silent (``ladder_watch``),
and otherwise only if a renewal is configured, since that costs about 3 s of its deeper levels.
Ending one ladder needs the account-wide ``ubd``, which ends all of them: the remaining ones are
asked for again.

Ladders of a session that has not proven to hold them all are asked for one after the other
(``capability``); of one that has proven to hold fewer, only the first ones are.
"""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.health import LadderCapability
from ib_platform.states import Cause
from ib_platform.streamer.capability import CapabilityProbe, Conclusion, first_of, is_news
from ib_platform.streamer.ladder_watch import ANSWER_DUE, Chance, LadderSight
from ib_platform.streamer.open_ladders import OpenLadders
from ib_platform.streamer.renewals import NOTHING_SEEN, LadderRenewals, Reconnections
from ib_platform.streamer.requests import Request, end_ladders, end_quotes, silence


class Subscriptions:
    """Ladders and quotes of one account: desired, asked for, and what to do next.

    ``capability``: what is known of this session; ladders that it does not hold are left out.
    """

    def __init__(
        self,
        account: str,
        *,
        chance: Chance,
        ladder_renewal: float | None = None,
        capability: LadderCapability | None = None,
    ) -> None:
        """``ladder_renewal``: seconds after which a live ladder is asked for anew, None = never."""
        self._account = account
        self._desired: dict[str, int] = {}
        self._renewed = LadderRenewals(ladder_renewal, chance)
        self._reconnections = Reconnections(chance)
        self._probe = CapabilityProbe()
        self._ladders = OpenLadders(account, chance, self._probe)
        self._open = self._ladders.by_key
        self._alone: str | None = None
        self._told_not_held: dict[str, str] = {}
        self.capability = capability

    def desire(self, conids: Mapping[str, int]) -> None:
        """Contract keys to stream from now on, and what they resolved to."""
        self._desired = dict(conids)

    def forget(self, cause: Cause | None = None) -> None:
        """The connection or the session ended: the server has forgotten every subscription.

        The next requests of the ladders that were open name the ``cause``.
        """
        self._ladders.forget(cause)
        self._probe.forget()
        self._renewed.forget()

    def renew(self, cause: Cause) -> None:
        """Ask again for every open ladder with the next plan: its book is not to be trusted."""
        for ladder in self._open.values():
            ladder.anew = cause

    @property
    def not_held(self) -> list[str]:
        """Contracts whose ladders this session does not hold beside the others."""
        held = first_of(self._desired, self.capability)
        return [key for key in self._desired if key not in held]

    def news(self) -> Conclusion | None:
        """What the frames have proven beyond ``capability``, None if nothing."""
        conclusion = self._probe.conclude()
        if conclusion is None or not is_news(conclusion, self.capability):
            return None
        return conclusion

    def reconnect(self, now: float, sights: Mapping[str, LadderSight]) -> str | None:
        """Why only a new connection may bring a silent ladder back, None when it would not."""
        return self._reconnections.due(now, self._open, sights)

    def plan(
        self, now: float, sights: Mapping[str, LadderSight], not_held: str = ""
    ) -> list[Request]:
        """What to send now (monotonic seconds). The plan counts as carried out.

        ``not_held``: why some contracts are left out, for people.
        """
        self._probe.look(now, sights)
        wanted = {key: self._desired[key] for key in first_of(self._desired, self.capability)}
        requests = self._remove_unwanted(now, wanted, sights) + self._leave_out(not_held)
        requests += self._ask_alone(now, wanted)
        requests += self._ask_new(now, wanted, sights)
        for key in self._open:
            requests += self._ladders.watch(key, sights.get(key, NOTHING_SEEN), now, sights)
        return requests + self._renewals(now, sights)

    def farewell(self) -> list[Request]:
        """Everything that ends this connection's subscriptions."""
        conids = self._ladders.conids
        self._ladders.forget(None)
        return end_ladders(self._account, conids, None) + end_quotes(conids)

    def _remove_unwanted(
        self, now: float, wanted: Mapping[str, int], sights: Mapping[str, LadderSight]
    ) -> list[Request]:
        conids = self._ladders.conids
        unwanted = {key: conid for key, conid in conids.items() if wanted.get(key) != conid}
        if not unwanted:
            return []
        requests = end_ladders(self._account, unwanted, Cause.NOT_ASSIGNED) + end_quotes(unwanted)
        for key in unwanted:
            # A contract that has rolled: its next request follows at once and says why.
            rolled = key in self._desired
            self._ladders.forget_one(key, Cause.RESUBSCRIBED if rolled else None)
        self._probe.forget()
        for key in self._open:
            cause, why = Cause.RESUBSCRIBED, "ended_with_another"
            requests.append(self._ladders.ask(key, now, sights, cause, why))
        return requests

    def _leave_out(self, why: str) -> list[Request]:
        """Say once of each contract that it is left out. Another assignment is the cure, hence the
        cause of its gap."""
        told = {key: why for key in self.not_held}
        new = [key for key in told if key not in self._told_not_held]
        self._told_not_held = told
        return [silence(key, self._desired[key], Cause.NOT_ASSIGNED, why) for key in new]

    def _ask_alone(self, now: float, wanted: Mapping[str, int]) -> list[Request]:
        """End all ladders, so that one that never came can be asked for first. Only where the
        session has not proven to hold them all."""
        if self._holds_all(len(wanted)) or (alone := self._probe.take_doubtful()) is None:
            return []
        if alone not in self._open:
            return []
        conids = self._ladders.conids
        cause = Cause.RESUBSCRIBED
        self.forget(cause)
        self._alone = alone
        return end_ladders(self._account, conids, cause, why="probe")

    def _ask_new(
        self, now: float, wanted: Mapping[str, int], sights: Mapping[str, LadderSight]
    ) -> list[Request]:
        requests: list[Request] = []
        for key in sorted(wanted, key=lambda key: key != self._alone):
            if key in self._open:
                continue
            if not self._may_ask_another(now, len(wanted), sights):
                break
            requests += self._ladders.open(key, wanted[key], now, sights)
        if len(self._open) == len(wanted):
            self._alone = None
        return requests

    def _may_ask_another(self, now: float, wanted: int, sights: Mapping[str, LadderSight]) -> bool:
        """The ladder before must flow well, or have had its time: and nothing else may disturb the
        watch of what the newest request did to the others."""
        if not self._open or self._holds_all(wanted):
            return True
        newest = next(reversed(self._open))
        if not sights.get(newest, NOTHING_SEEN).market_open:
            return True
        over = now - self._open[newest].asked_at >= ANSWER_DUE
        return (over or self._probe.is_lively(newest, now)) and not self._probe.is_running

    def _holds_all(self, wanted: int) -> bool:
        return self.capability is not None and self.capability.ladders >= wanted

    def _renewals(self, now: float, sights: Mapping[str, LadderSight]) -> list[Request]:
        """At most one: a quote before its end, or a live ladder if that is configured."""
        for key, ladder in self._open.items():
            if ladder.quote_due_at is not None and now >= ladder.quote_due_at:
                return [self._ladders.ask_quote(key, now, "renewal")]
        # A renewal would disturb the watch of what a request does to the others.
        due = None if self._probe.is_running else self._renewed.due(now, self._open, sights)
        if due is None:
            return []
        return [self._ladders.ask(due, now, sights, Cause.RESUBSCRIBED, "renewal")]
