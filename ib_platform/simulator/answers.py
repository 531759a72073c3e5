"""What a greeted websocket's client is answered, message by message. No I/O, no clock.

Most requests have no answer: data arrives, or it does not. Nonsense is answered with an error
object, and so is a ladder of somebody else's account.
"""

from __future__ import annotations

from ib_platform.simulator import shapes
from ib_platform.simulator.account_feeds import account_answer
from ib_platform.simulator.commands import (
    AccountFeed,
    Alive,
    Echo,
    EndAccountFeed,
    Refused,
    SubscribeHistory,
    SubscribeLadder,
    SubscribeQuote,
    UnsubscribeHistory,
    UnsubscribeLadders,
    UnsubscribeQuote,
    parse_command,
)
from ib_platform.simulator.feeds import Feeds
from ib_platform.simulator.history_feed import HistoryFeed
from ib_platform.simulator.ladder_desk import LadderAnswer
from ib_platform.simulator.login import Login
from ib_platform.simulator.socket_faults import ECHO, notification
from ib_platform.simulator.world import World


class Answers:
    """Obeys the messages of one client. ``feeds`` is what they change."""

    def __init__(self, world: World, login: Login, feeds: Feeds) -> None:
        self._world = world
        self._login = login
        self._feeds = feeds
        self._history = HistoryFeed(world)

    async def to(self, text: str, now: float, *, authenticated: bool) -> list[bytes]:
        """Do what a message asks for; the frames to answer. Without a brokerage session nothing
        can be subscribed, and nobody says so."""
        match parse_command(text):
            case Alive():
                return [self._alive()]
            case Echo():
                return [ECHO]
            case SubscribeQuote(conid, fields):
                if authenticated:
                    self._feeds.subscribe_quote(conid, fields, now)
            case UnsubscribeQuote(conid):
                self._feeds.unsubscribe_quote(conid)
            case SubscribeHistory() as wanted:
                return [await self._history.batch(wanted)] if authenticated else []
            case UnsubscribeHistory(server_id):
                return [self._history.end(server_id)]
            case SubscribeLadder(account, conid):
                return self._ladder(account, conid, now, authenticated)
            case UnsubscribeLadders(account):
                return self._no_ladders(account)
            case AccountFeed(topic, account):
                return self._account(topic, account)
            case EndAccountFeed():
                pass
            case Refused(topic, error):
                return [shapes.socket_error(topic, error)]
        return []

    def _alive(self) -> bytes:
        answer = {
            "topic": "tic",
            "alive": True,
            "id": self._login.session_id,
            "lastAccessed": self._world.wall_ms(),
        }
        return shapes.encode(answer)

    def _ladder(self, account: str, conid: int, now: float, authenticated: bool) -> list[bytes]:
        user, world = self._login.user, self._world
        if account != user.account:
            return [shapes.socket_error("sbd", f"unknown account {account[:20]}")]
        if not authenticated:
            return []
        if world.replay is not None and world.plays_replay(user.username):
            world.replay.start()
        answer = self._feeds.subscribe_ladder(conid, now)
        if answer is LadderAnswer.FULL and world.behaviour.ladders.notify_full:
            text = f"Market depth of {conid} is not shown: too many depth windows are open"
            return [notification(text, "Market depth", conid)]
        return []

    def _no_ladders(self, account: str) -> list[bytes]:
        """``ubd`` is silent, unless there was nothing to end (observed page, point 11)."""
        if account != self._login.user.account:
            return [shapes.socket_error("ubd", f"unknown account {account[:20]}")]
        if self._login.ladders.stop_all():
            return []
        return [shapes.encode({"topic": "ubd", "message": "unsubscribed"})]

    def _account(self, topic: str, account: str | None) -> list[bytes]:
        user = self._login.user
        if account is not None and account != user.account:
            return [shapes.socket_error(topic, f"unknown account {account[:20]}")]
        answer = account_answer(topic, user, self._world.wall_ms())
        return [] if answer is None else [shapes.encode(answer)]
