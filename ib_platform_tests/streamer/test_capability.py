"""What requests and arrivals prove about several ladders, against servers of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.health import LadderCapability
from ib_platform.states import Cause, LadderMode
from ib_platform.streamer.capability import (
    CapabilityProbe,
    Conclusion,
    first_of,
    holds,
    is_news,
)
from ib_platform.streamer.capability_words import in_words, why_not_held
from ib_platform.streamer.ladder_watch import ANSWER_DUE, LadderSight
from ib_platform.streamer.requests import Request
from ib_platform.streamer.subscriptions import Subscriptions

KEYS = ("CL.NYMEX.front", "ES.CME.front", "NQ.CME.front", "GC.COMEX.front")
SILENT_AFTER = 30.0
SLOW = settings(deadline=None, max_examples=30)
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Session:
    """A session that treats several ladders in one way, and a planner that asks it.

    ``most``: ladders at once. ``mute``: ladders that never come, whatever is asked. ``every``:
    seconds between two frames of a ladder.
    """

    mode: LadderMode
    most: int
    keys: tuple[str, ...] = KEYS[:3]
    mute: frozenset[str] = frozenset()
    entitled: bool | None = True
    every: float = 0.5
    market_open: bool = True
    capability: LadderCapability | None = None
    now: float = 0.0
    open: list[str] = field(default_factory=list)
    sights: dict[str, LadderSight] = field(default_factory=dict)
    requests: list[tuple[float, Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.subscriptions = Subscriptions("DU1", chance=lambda: 0.5, capability=self.capability)
        self.subscriptions.desire({key: number for number, key in enumerate(self.keys)})
        self.sights = {
            key: LadderSight(market_open=self.market_open, entitled=self.entitled)
            for key in self.keys
        }

    def _ask(self, key: str) -> None:
        if key in self.open:
            return self._answer(key)
        room = len(self.open) < self.most
        if self.mode is LadderMode.REPLACE:
            self.open = [*self.open, key][-self.most :]
        elif room:
            self.open.append(key)
        if key in self.open:
            self._answer(key)
        return None

    def _answer(self, key: str) -> None:
        if key not in self.mute:
            self._see(key, answered_at=self.now, last_frame=self.now)

    def _see(self, key: str, **fields: float) -> None:
        old = self.sights[key]
        seen = {"answered_at": old.answered_at, "last_frame": old.last_frame, **fields}
        quiet = self.now - max(seen["last_frame"] or 0.0, 0.0) >= SILENT_AFTER
        silence = Cause.SILENT_LADDER if quiet and self.market_open else None
        self.sights[key] = LadderSight(
            self.market_open, not quiet, silence=silence, entitled=self.entitled, **seen
        )

    def run(self, until: float) -> Conclusion | None:
        """The last news until then, stored as they come."""
        news = None
        while self.now < until:
            self.now += 0.25
            for key in self.keys:
                flows = key in self.open and key not in self.mute and self.now % self.every == 0
                self._see(key, **({"last_frame": self.now} if flows else {}))
            if (found := self.subscriptions.news()) is not None:
                news = found
                self.subscriptions.capability = LadderCapability(
                    found.mode, found.ladders, AT, found.evidence
                )
            for request in self.subscriptions.plan(self.now, self.sights, "why"):
                self.requests.append((self.now, request))
                if request.text is not None and request.text.startswith("ubd"):
                    self.open.clear()
                elif request.requests_ladder:
                    assert request.contract is not None
                    self._ask(request.contract)
        return news

    def asked(self) -> list[tuple[float, str | None]]:
        return [(at, r.contract) for at, r in self.requests if r.requests_ladder]


@SLOW
@given(count=st.integers(2, 4), every=st.sampled_from([0.25, 0.5, 1.0]))
def test_all_go_on(count: int, every: float) -> None:
    session = Session(LadderMode.MULTIPLEX, 9, KEYS[:count], every=every)
    concluded = session.run(60)
    assert concluded is not None
    assert (concluded.mode, concluded.ladders) == (LadderMode.MULTIPLEX, count)
    assert all(key in concluded.evidence for key in KEYS[:count])
    # Nothing was asked for twice, and nothing was given up.
    assert [key for _, key in session.asked()] == list(KEYS[:count])


@SLOW
@given(
    count=st.integers(2, 4),
    most=st.integers(1, 3),
    every=st.sampled_from([0.25, 0.5, 1.0]),
    mode=st.sampled_from([LadderMode.REPLACE, LadderMode.FIRST_WINS]),
)
def test_not_all_go_on(count: int, most: int, every: float, mode: LadderMode) -> None:
    most = min(most, count - 1)
    session = Session(mode, most, KEYS[:count], every=every)
    concluded = session.run(400)
    assert concluded is not None
    assert (concluded.mode, concluded.ladders) == (mode, most)
    # The first ones of the assignment stream, the others are left alone: no fight.
    assert sorted(session.open) == sorted(KEYS[:most])
    session.requests.clear()
    session.run(3000)
    assert session.asked() == []


@pytest.mark.parametrize("mode", [LadderMode.REPLACE, LadderMode.FIRST_WINS])
def test_who_is_left_out_is_told_once_with_its_cause(mode: LadderMode) -> None:
    session = Session(mode, 1)
    session.run(600)
    told = [r for _, r in session.requests if r.cause is Cause.NOT_ASSIGNED and r.text is None]
    assert sorted(r.contract or "" for r in told if r.detail.get("reason")) == sorted(KEYS[1:3])
    assert session.subscriptions.not_held == list(KEYS[1:3])


@pytest.mark.parametrize("mute", [KEYS[1:2], KEYS[1:3], KEYS[:1]])
def test_a_ladder_that_is_silent_by_itself_proves_nothing(mute: tuple[str, ...]) -> None:
    """L2 of its exchange is not subscribed: quotes say real time, no row ever comes."""
    session = Session(LadderMode.MULTIPLEX, 9, mute=frozenset(mute))
    concluded = session.run(900)
    if concluded is not None:
        assert concluded.mode is LadderMode.MULTIPLEX
    assert session.subscriptions.not_held == []
    assert set(session.open) == set(session.keys)


def test_ladders_that_fall_silent_later_prove_nothing() -> None:
    session = Session(LadderMode.MULTIPLEX, 9)
    session.run(60)
    session.mute = frozenset(KEYS[:2])
    assert session.run(600) is None
    session.mute = frozenset()
    session.run(700)
    session.mute = frozenset(KEYS[1:3])
    assert session.run(1200) is None


@pytest.mark.parametrize("entitled", [False, None])
def test_a_ladder_without_real_time_data_would_not_come_anyway(entitled: bool | None) -> None:
    session = Session(LadderMode.FIRST_WINS, 1, KEYS[:2], entitled=entitled)
    assert session.run(300) is None


@SLOW
@given(mode=st.sampled_from(list(LadderMode)))
def test_thin_markets_are_no_proof_of_a_stop(mode: LadderMode) -> None:
    """A frame every 20 s: a ladder that sends nothing for ten may go on all the same."""
    most = 9 if mode is LadderMode.MULTIPLEX else 1
    concluded = Session(mode, most, every=20.0).run(600)
    assert concluded is None or concluded.mode is mode


def test_a_closed_market_proves_nothing_and_delays_nothing() -> None:
    session = Session(LadderMode.REPLACE, 1, market_open=False)
    assert session.run(300) is None
    assert session.asked() == [(0.25, key) for key in KEYS[:3]]


def test_a_session_that_has_proven_to_hold_them_is_asked_for_all_at_once() -> None:
    known = LadderCapability(LadderMode.MULTIPLEX, 3, AT, "seen")
    session = Session(LadderMode.MULTIPLEX, 9, capability=known)
    assert session.run(60) is None
    assert session.asked() == [(0.25, key) for key in KEYS[:3]]


def test_one_after_the_other_while_nothing_is_proven() -> None:
    session = Session(LadderMode.MULTIPLEX, 9, mute=frozenset(KEYS[:1]))
    session.run(30)
    instants = dict((key, at) for at, key in reversed(session.asked()))
    assert instants[KEYS[1]] - instants[KEYS[0]] == ANSWER_DUE
    # The second flows well some 2 s later.
    assert 2 <= instants[KEYS[2]] - instants[KEYS[1]] <= 4


def test_a_stored_limit_is_kept_to_from_the_first_request() -> None:
    known = LadderCapability(LadderMode.REPLACE, 1, AT, "seen")
    session = Session(LadderMode.REPLACE, 1, capability=known)
    assert session.run(600) is None
    assert [key for _, key in session.asked()] == [KEYS[0]]


def test_a_connection_that_ends_during_an_experiment_proves_nothing() -> None:
    """The others stopped because all ladders did."""
    probe = CapabilityProbe()
    sights = {KEYS[0]: LadderSight(entitled=True), KEYS[1]: LadderSight(entitled=True)}
    for look in range(1, 21):
        sights[KEYS[0]] = LadderSight(last_frame=look / 2, entitled=True)
        probe.look(look / 2, sights)
    probe.requested(KEYS[1], 10.0, sights)
    assert probe.is_running
    probe.forget()
    assert not probe.is_running
    sights[KEYS[1]] = LadderSight(last_frame=11.0, entitled=True)
    probe.look(30.0, sights)
    assert probe.conclude() is None


def test_what_is_proven_outlives_a_connection() -> None:
    session = Session(LadderMode.MULTIPLEX, 9)
    concluded = session.run(60)
    assert concluded is not None
    session.open.clear()
    session.subscriptions.forget(Cause.DISCONNECTED)
    assert session.run(120) is None
    again = [key for at, key in session.asked() if at > 60]
    assert again == list(KEYS[:3]), "all at once, each once"


MULTI, REPLACE = LadderMode.MULTIPLEX, LadderMode.REPLACE


@pytest.mark.parametrize(
    ("found", "known", "news"),
    [
        ((MULTI, 2), None, True),
        ((MULTI, 3), (MULTI, 2), True),
        ((MULTI, 2), (MULTI, 3), False),
        ((REPLACE, 1), (MULTI, 3), True),
        ((REPLACE, 1), (REPLACE, 1), False),
        ((REPLACE, 2), (REPLACE, 1), True),
        ((MULTI, 2), (REPLACE, 1), True),
        ((MULTI, 2), (REPLACE, 2), False),
    ],
)
def test_what_is_news(
    found: tuple[LadderMode, int], known: tuple[LadderMode, int] | None, news: bool
) -> None:
    stored = None if known is None else LadderCapability(*known, AT, "seen")
    assert is_news(Conclusion(*found, "seen"), stored) is news


def test_how_many_are_asked_for() -> None:
    assert holds(None) is None
    assert holds(LadderCapability(MULTI, 2, AT, "")) is None
    assert holds(LadderCapability(REPLACE, 2, AT, "")) == 2
    assert first_of(KEYS, LadderCapability(REPLACE, 2, AT, "")) == list(KEYS[:2])
    assert first_of(KEYS, None) == list(KEYS)


def test_the_words_for_people_say_what_to_do() -> None:
    why = why_not_held(LadderCapability(REPLACE, 1, AT, "A silenced B"), "/x/capability.json")
    assert "holds 1 ladder(s) at a time (replace), proven at 2026-11-24T12:00:00+00:00" in why
    assert "needs another paper user" in why
    assert "delete /x/capability.json" in why


@pytest.mark.parametrize(
    ("known", "slots", "last"),
    [
        (None, 1, "a streamer with two or more contracts finds it out by itself in open hours"),
        ((MULTI, 3), 3, "evidence: seen"),
        ((MULTI, 2), 3, "depth_slots is 3: more than 2 is unproven"),
        ((REPLACE, 1), 3, "depth_slots is 3: set it to 1 and rebalance"),
        ((REPLACE, 1), 1, "evidence: seen"),
    ],
)
def test_what_it_means_for_a_paper_user(
    known: tuple[LadderMode, int] | None, slots: int, last: str
) -> None:
    stored = None if known is None else LadderCapability(*known, AT, "seen")
    assert in_words(stored, slots, "/x/capability.json")[-1] == last
