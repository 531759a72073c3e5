"""A scenario of the simulator acted out on simulated time, with a client that compares each frame.

The world, its faults, feeds and ladders are the simulator's own; only sockets and logins are left
out: what ends a session or a connection ends the client's ladders, and it asks anew a little later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from ib_platform.marketdata.frames import LADDER, classify
from ib_platform.simulator.clock import ManualClock
from ib_platform.simulator.drill import begin
from ib_platform.simulator.fault_kinds import SPECS, FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.feeds import Feeds
from ib_platform.simulator.ladder_truth import LadderTruth
from ib_platform.simulator.scenario_library import load_scenario
from ib_platform.simulator.scripted import load_scripts
from ib_platform.simulator.timeline import Timeline
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import USER
from ib_platform_tests.simulator.drilled import OTHER, USERNAMES
from ib_platform_tests.warehouse.emitter import NANO, Client
from ib_platform_tests.warehouse.recording import Recorder

START = datetime(2026, 11, 18, 18, tzinfo=UTC)
GRID = 0.6
_OF_FEEDS = frozenset(
    {FaultKind.QUOTES_EXPIRED, FaultKind.LADDERS_EXPIRED, FaultKind.RELAID_WINDOW}
)
_CUTTING = (
    FaultKind.HALF_OPEN,
    FaultKind.GATEWAY_HANGS,
    FaultKind.GATEWAY_DOWN,
    FaultKind.MAINTENANCE,
)
_AGAIN_EVERY = 75


class Acted:
    """One scenario, with a ladder of CL and one of ES. ``conids``: what to record them under."""

    def __init__(self, name: str, conids: tuple[int, int]) -> None:
        self._scenario = load_scenario(name)
        self._clock = ManualClock(self._scenario.clock.start or START)
        self._world = World(
            self._scenario.users_with((USER, OTHER)),
            seed=7,
            behaviour=self._scenario.behaviour,
            clock=self._clock,
            scripted=load_scripts(self._scenario.scripted),
        )
        self._world.truths = self._hear_truth
        self._world.faults.listen(self._begun)
        self._timeline = Timeline(self._scenario.faults, 7)
        self._truth: tuple[int, LadderTruth] | None = None
        self._happened: list[Fault] = []
        self._feeds: Feeds | None = None
        self.recorder = Recorder(name)
        contracts = [self._world.catalogue.months_of(symbol)[0] for symbol in ("CL", "ES")]
        self.clients = {
            contract.conid: Client(self.recorder, conid, contract)
            for contract, conid in zip(contracts, conids, strict=True)
        }

    def run(self, seconds: float) -> None:
        """Act for so many simulated seconds."""
        for point in range(int(seconds / GRID)):
            self._clock.advance(GRID)
            for fault in self._timeline.take(self._world.elapsed):
                begin(self._world, fault, USERNAMES)
            if self._is_cut():
                self._leave()
                continue
            if self._feeds is None:
                self._join()
            elif point % _AGAIN_EVERY == 0:
                self._ask(self._feeds)
            for payload in self._frames():
                self._hear(payload)

    def _frames(self) -> Iterator[bytes]:
        now, feeds = self._clock.now(), self._feeds
        assert feeds is not None
        for fault in self._happened:
            feeds.suffer(fault, now)
        self._happened.clear()
        yield from feeds.due(now)

    def _hear(self, payload: bytes) -> None:
        assert self._truth is not None, "no frame of a ladder leaves without its truth"
        conid, truth = self._truth
        assert classify(payload).topic == LADDER or not truth.faithful
        self.clients[conid].hear(self._at(), payload, truth)
        # A frame that comes twice is no second beginning.
        self._truth = conid, dataclasses.replace(truth, begins=False)

    def _hear_truth(self, username: str, conid: int, truth: LadderTruth) -> None:
        assert username == USER.username
        self._truth = conid, truth

    def _begun(self, fault: Fault, now: float) -> None:
        if not fault.concerns(USER.username, fault.symbol):
            return
        if fault.kind in _OF_FEEDS:
            self._happened.append(fault)
        elif SPECS[fault.kind].instant:
            self._leave()

    def _is_cut(self) -> bool:
        if self._world.outages.at(self._clock.wall()) is not None:
            return True
        return any(self._world.fault(kind, USER.username) is not None for kind in _CUTTING)

    def _join(self) -> None:
        user = self._world.user(USER.username)
        assert user is not None
        login = self._world.log_in(user, fresh=False)
        self._feeds = Feeds(self._world, login, "socket", Random(7))
        self._ask(self._feeds)

    def _ask(self, feeds: Feeds) -> None:
        for conid, client in self.clients.items():
            client.request(self._at())
            feeds.subscribe_ladder(conid, self._clock.now())

    def _leave(self) -> None:
        if self._feeds is None:
            return
        self._feeds.end()
        self._feeds = None
        for client in self.clients.values():
            client.leave(self._at())

    def _at(self) -> int:
        return round(self._clock.wall() * 1000) * (NANO // 1000)
