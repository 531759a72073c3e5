"""The simulated IBKR itself: users, their sessions, contracts, markets, faults. No I/O.

Behind every gateway of one process stands the same world: two gateways of one user compete for one
brokerage session, and every user sees the same market. ``faces`` shows it to clients.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.catalogue import Catalogue, SimulatedContract
from ib_platform.simulator.clock import Clock, ScaledClock, utc
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault, Faults
from ib_platform.simulator.history import History
from ib_platform.simulator.hours import MarketHours
from ib_platform.simulator.ladder_desk import LadderDesk
from ib_platform.simulator.ladder_truth import Truths
from ib_platform.simulator.ladder_view import LadderView
from ib_platform.simulator.login import Login, new_session_id
from ib_platform.simulator.market import Market
from ib_platform.simulator.outages import Outages
from ib_platform.simulator.pacing import Pacing
from ib_platform.simulator.record import Sent
from ib_platform.simulator.replay import Outlets, Replay
from ib_platform.simulator.scripted import BookScript, ScriptedMarket
from ib_platform.simulator.sent_log import SentLog
from ib_platform.simulator.session_faults import SessionFaults
from ib_platform.simulator.sessions import UserSessions
from ib_platform.simulator.synthetic import SyntheticMarket
from ib_platform.simulator.users import SimulatedUser


class World:
    """Everything that one simulator process knows. Usernames are compared without case.

    ``replay_username``: who is shown the replay; everybody else sees the synthetic market.
    ``scripted``: books by symbol that are played instead of it.
    """

    def __init__(
        self,
        users: Iterable[SimulatedUser],
        *,
        seed: int,
        behaviour: Behaviour | None = None,
        clock: Clock | None = None,
        replay: Replay | None = None,
        replay_username: str | None = None,
        scripted: Mapping[str, BookScript] | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.clock = clock or ScaledClock()
        self.seed = seed
        self.replay = replay
        self.sent_log: SentLog | None = None
        """Takes a line for every frame before it is sent."""
        self.truths: Truths | None = None
        """Is told what each synthetic ladder truly is when a frame of it leaves."""
        self.faults = Faults()
        self.pacing = Pacing(self.behaviour.pacing)
        self.hours = MarketHours(self.behaviour.hours)
        self.history = History(self.hours, seed, self.behaviour.history, self.clock.wall())
        self.outages = Outages(self.behaviour.outages)
        self.logins: dict[str, Login] = {}
        self._sent: defaultdict[str, Sent] = defaultdict(Sent)
        self._outlets: defaultdict[str, Outlets] = defaultdict(Outlets)
        self._catalogues: dict[date, Catalogue] = {}
        self._scripts = dict(scripted or {})
        self._replay_username = (replay_username or "").lower()
        self._users: dict[str, SimulatedUser] = {}
        self._sessions: dict[str, UserSessions] = {}
        self._markets: dict[int, Market] = {}
        self._began = self.clock.now()
        for user in users:
            self._add(user)
        SessionFaults(self)

    @property
    def catalogue(self) -> Catalogue:
        """The contracts of the simulated date: it changes when that does."""
        today = utc(self.clock).date()
        if today not in self._catalogues:
            catalogue = Catalogue.on(today, self.behaviour.catalogue)
            if self.replay is not None:
                catalogue = self.replay.listed_in(catalogue, today)
            self._catalogues = {today: catalogue}
        return self._catalogues[today]

    @property
    def users(self) -> tuple[SimulatedUser, ...]:
        return tuple(self._users.values())

    def user(self, username: str) -> SimulatedUser | None:
        return self._users.get(username.lower())

    def sessions(self, username: str) -> UserSessions:
        """The session machine of a known user; KeyError otherwise."""
        return self._sessions[username.lower()]

    @property
    def elapsed(self) -> float:
        """Simulated seconds since it began."""
        return self.clock.now() - self._began

    def wall_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.clock.wall() * 1000)

    def log_in(self, user: SimulatedUser, *, fresh: bool = True, kept_alive: bool = True) -> Login:
        """Begin an SSO login, whoever proved it. See ``UserSessions.log_in``."""
        token = new_session_id()
        now = self.clock.now()
        sessions = self.sessions(user.username)
        sessions.log_in(token, now, fresh=fresh, kept_alive=kept_alive)
        self.logins = {t: login for t, login in self.logins.items() if login.status(now).sso}
        ladders = self.behaviour.ladders
        login = Login(
            user=user,
            sessions=sessions,
            token=token,
            session_id=new_session_id(),
            login_ms=self.wall_ms(),
            ladders=LadderDesk(
                ladders, user.depth_slots, lambda conid: self._open_view(user, conid)
            ),
        )
        self.logins[token] = login
        return login

    def end_login(self, login: Login) -> None:
        """Its SSO login is gone: 401 from now on."""
        login.sessions.end_login(login.token)
        self.logins.pop(login.token, None)

    def fault(
        self, kind: FaultKind, username: str | None = None, symbol: str | None = None
    ) -> Fault | None:
        """The fault of this kind that bites here now, or None."""
        return self.faults.active(kind, self.clock.now(), username, symbol)

    def is_replayed(self, username: str, conid: int) -> bool:
        """Whether this user sees this contract's frames from a recording."""
        if self.replay is None or username.lower() != self._replay_username:
            return False
        return self.replay.capture.shows(conid)

    def plays_replay(self, username: str) -> bool:
        """Whether this user is the one who is shown the recording."""
        return self.replay is not None and username.lower() == self._replay_username

    def market(self, conid: int) -> Market | None:
        """The market of a contract, scripted or synthetic; None if it is unknown or expired."""
        contract = self.catalogue.get(conid)
        if contract is None:
            self._markets.pop(conid, None)
            return None
        if conid not in self._markets:
            self._markets[conid] = self._new_market(contract)
        return self._markets[conid]

    def _new_market(self, contract: SimulatedContract) -> Market:
        if (script := self._scripts.get(contract.product.symbol)) is not None:
            return ScriptedMarket(contract, script, start=self._began)
        return SyntheticMarket(
            contract,
            seed=self.seed,
            start=self._began,
            parameters=self.behaviour.market,
            phases=lambda now: self.hours.phase_until(now, self.clock.wall() - self.clock.now()),
        )

    def phase_of(self, conid: int, username: str | None = None) -> MarketPhase:
        """Phase of a contract's market now, as this user sees it; a fault may make a holiday.
        An expired contract is closed for ever."""
        symbol = self.symbol_of(conid)
        if symbol is None:
            return MarketPhase.CLOSED
        if self.fault(FaultKind.HOLIDAY, username, symbol) is not None:
            return MarketPhase.HOLIDAY
        if self.fault(FaultKind.TRADING_HALTED, username, symbol) is not None:
            return MarketPhase.HALTED
        return self.hours.phase(utc(self.clock))

    def symbol_of(self, conid: int) -> str | None:
        contract = self.catalogue.get(conid)
        return None if contract is None else contract.product.symbol

    def sent(self, username: str) -> Sent:
        """The count of what went to this user's sockets."""
        return self._sent[username.lower()]

    def outlets(self, username: str) -> Outlets:
        """The greeted websockets of this user, over all logins."""
        return self._outlets[username.lower()]

    def record(self, username: str) -> dict[str, object]:
        """What was written to this user's sockets."""
        replay = None
        if self.replay is not None and self.plays_replay(username):
            sent, total = self.replay.sent, self.replay.total
            replay = {"total": total, "sent": sent, "done": sent == total}
        return self.sent(username).summary() | {"replay": replay}

    def _add(self, user: SimulatedUser) -> None:
        key = user.username.lower()
        if key in self._users:
            raise ConfigurationError(f"simulated user {user.username} is there twice")
        self._users[key] = user
        self._sessions[key] = UserSessions(
            self.behaviour.session,
            seed=f"{self.seed}/{key}",
            authenticates=user.authenticates,
            outages=self.outages,
            wall_offset=self.clock.wall() - self.clock.now(),
            stuck=lambda: self.fault(FaultKind.AUTHENTICATION_STUCK, key) is not None,
            words=lambda: self._words_of(key),
        )

    def _words_of(self, username: str) -> tuple[str, str]:
        """What a session that is stuck says: message and fail."""
        stuck = self.fault(FaultKind.AUTHENTICATION_STUCK, username)
        return ("", "") if stuck is None else (str(stuck["message"]), str(stuck["fail"]))

    def _open_view(self, user: SimulatedUser, conid: int) -> LadderView | None:
        if self.is_replayed(user.username, conid):
            return None
        market = self.market(conid)
        if market is None:
            return None
        return LadderView(
            market,
            seed=self.seed,
            parameters=self.behaviour.ladder,
            phase=lambda: self.phase_of(conid, user.username),
        )
