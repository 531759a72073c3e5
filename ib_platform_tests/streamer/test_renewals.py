"""Ladder renewals one after the other, and the rare reconnection of a silent session."""

from __future__ import annotations

import pytest

from ib_platform.states import Cause
from ib_platform.streamer.ladder_watch import LadderSight
from ib_platform.streamer.renewals import RECONNECT_PAUSE
from ib_platform.streamer.requests import Request
from ib_platform.streamer.subscriptions import Subscriptions

CL, ES, NQ = "CL.NYMEX.front", "ES.CME.front", "NQ.CME.front"
WARM_UP = 3


class Server:
    """Answers ladder requests a second later, and shows their depth after a warm-up."""

    def __init__(self, subscriptions: Subscriptions, *keys: str) -> None:
        self.subscriptions = subscriptions
        self.now = 0.0
        self.asked: list[tuple[float, str, str]] = []
        self.answered: dict[str, float] = {}
        self.broken: dict[str, LadderSight] = {}
        subscriptions.desire({key: number for number, key in enumerate(keys)})
        self._take(subscriptions.plan(self.now, {}))

    def _take(self, requests: list[Request]) -> None:
        for request in requests:
            if request.requests_ladder:
                assert request.contract is not None
                self.asked.append((self.now, request.contract, request.detail["why"]))
                self.answered[request.contract] = self.now + 1

    def sights(self) -> dict[str, LadderSight]:
        seen = {}
        for key, at in self.answered.items():
            came = at <= self.now
            live = self.now >= at + WARM_UP
            seen[key] = LadderSight(
                live=live,
                answered_at=at if came else None,
                last_frame=self.now if came else None,
                entitled=True,
            )
        return seen | self.broken

    def run(self, until: float) -> list[tuple[float, str, str]]:
        """Requests of ladders from now on: when, whose, why."""
        known = len(self.asked)
        while self.now < until:
            self.now += 1
            self._take(self.subscriptions.plan(self.now, self.sights()))
        return self.asked[known:]


def _subscriptions(renewal: float | None, chance: float = 0.5) -> Subscriptions:
    return Subscriptions("DU1", chance=lambda: chance, ladder_renewal=renewal)


def test_without_a_renewal_a_live_ladder_is_never_asked_again() -> None:
    assert Server(_subscriptions(None), CL, ES).run(3 * 3600) == []


@pytest.mark.parametrize(("chance", "period"), [(0.0, 90), (0.5, 100), (1.0, 110)])
def test_a_ladder_is_renewed_after_its_period_a_tenth_more_or_less(
    chance: float, period: int
) -> None:
    renewed = Server(_subscriptions(100, chance), CL).run(1000)
    assert {why for _, _, why in renewed} == {"renewal"}
    instants = [at for at, _, _ in renewed]
    # The period begins when the ladder has its depth again.
    assert {b - a for a, b in zip(instants, instants[1:], strict=False)} == {period + 1 + WARM_UP}


def test_no_two_ladders_are_renewed_at_once() -> None:
    renewed = Server(_subscriptions(100), CL, ES, NQ).run(2000)
    assert {key for _, key, _ in renewed} == {CL, ES, NQ}
    instants = [at for at, _, _ in renewed]
    closest = min(b - a for a, b in zip(instants, instants[1:], strict=False))
    assert closest >= 1 + WARM_UP


def test_a_closed_market_is_not_renewed() -> None:
    server = Server(_subscriptions(100), CL)
    server.run(50)
    server.broken = {CL: LadderSight(market_open=False, answered_at=1, last_frame=1)}
    assert server.run(1000) == []


def test_a_renewal_without_an_answer_is_healed_and_delays_no_other() -> None:
    server = Server(_subscriptions(100), CL, ES)
    (first,) = server.run(106)
    key = first[1]
    other = ES if key == CL else CL
    server.broken = {key: LadderSight(live=True, answered_at=1, last_frame=1, entitled=True)}
    # What the new request does to the other is watched first.
    assert [(k, why) for _, k, why in server.run(132)][:2] == [
        (key, "no_answer"),
        (other, "renewal"),
    ]


def _all_silent(*keys: str, **fields: object) -> dict[str, LadderSight]:
    silent = LadderSight(
        silence=Cause.SILENT_LADDER, entitled=fields.pop("entitled", True), **fields
    )  # type: ignore[arg-type]
    return dict.fromkeys(keys, silent)


def _reconnected(server: Server, until: float) -> list[float]:
    instants = []
    while server.now < until:
        server.now += 1
        if server.subscriptions.reconnect(server.now, server.sights()) is not None:
            instants.append(server.now)
            server.subscriptions.forget(Cause.SILENT_LADDER)
        server._take(server.subscriptions.plan(server.now, server.sights()))
    return instants


def test_three_requests_in_vain_are_worth_a_new_connection_at_most_every_ten_minutes() -> None:
    server = Server(_subscriptions(None), CL, ES)
    server.broken = _all_silent(CL, ES)
    instants = _reconnected(server, 4000)
    assert server.asked[:6:2] == [(0, CL, "new"), (11, CL, "no_answer"), (31, CL, "no_answer")]
    assert instants[0] == 71
    pauses = [b - a for a, b in zip(instants, instants[1:], strict=False)]
    assert pauses
    assert all(RECONNECT_PAUSE <= pause <= 1.2 * RECONNECT_PAUSE + 60 for pause in pauses)


def test_a_reason_names_the_ladder_and_its_requests() -> None:
    server = Server(_subscriptions(None), CL)
    server.broken = _all_silent(CL)
    server.run(70)
    why = server.subscriptions.reconnect(71, server.sights())
    assert why == f"{CL} stays silent after 3 requests, and no ladder is live"


@pytest.mark.parametrize(
    "sight",
    [
        {ES: LadderSight(live=True, answered_at=1, last_frame=1)},
        {CL: LadderSight(silence=Cause.NO_ENTITLEMENT, entitled=False)},
        {CL: LadderSight(silence=Cause.SILENT_LADDER, entitled=True, halted=True)},
        {CL: LadderSight(market_open=False)},
    ],
    ids=["another one is live", "not entitled", "halted", "closed"],
)
def test_where_it_would_cost_or_not_help_nothing_is_reconnected(
    sight: dict[str, LadderSight],
) -> None:
    server = Server(_subscriptions(None), CL, ES)
    server.broken = _all_silent(CL, ES, entitled=None) | sight
    if ES not in sight:
        server.broken[ES] = server.broken[CL]
    assert _reconnected(server, 2000) == []
