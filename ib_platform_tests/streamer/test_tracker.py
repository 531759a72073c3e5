"""States of contracts and of the pod, from evidence and given clocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.ibkr.session import Judgement
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.states import Cause, ContractState, PodState
from ib_platform.streamer.tracker import Tracker, worst
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads

KEY = "CL.NYMEX.front"
AT = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
AUTHENTICATED = Judgement(PodState.AUTHENTICATED, "yes")
SILENT_AFTER = 30.0


def _ladder(sizes: dict[int, int], rows: Sequence[int] = range(21), conid: int = 7) -> bytes:
    data: list[dict[str, Any]] = []
    for row in rows:
        item: dict[str, Any] = {"row": row, "focus": 0, "price": f"{60 - row / 100:.2f}"}
        if size := sizes.get(row, 0):
            item["bid" if size > 0 else "ask"] = str(abs(size))
        data.append(item)
    return json.dumps({"topic": f"sbd+DU1+{conid}", "data": data}).encode()


TOUCH = _ladder({9: -3, 11: 4})
DEEP = _ladder({8: -5, 12: 6}, rows=[8, 12])


class Bench:
    """A tracker with one contract and a clock that the test moves."""

    def __init__(
        self, calendar: CalendarName = CalendarName.ALWAYS_OPEN, at: datetime = AT
    ) -> None:
        self.now = 1000.0
        self.begin = self.now
        self.start_at = at
        self.tracker = Tracker(SILENT_AFTER)
        self.tracker.assign({KEY: calendar}, self.now)
        self.tracker.resolved(KEY, 7, self.now)

    @property
    def at(self) -> datetime:
        return self.start_at + timedelta(seconds=self.now - self.begin)

    @property
    def state(self) -> ContractState:
        return self.tracker.states(self.now, self.at)[KEY]

    def frame(self, payload: bytes) -> None:
        wall = int(self.at.timestamp() * 1e9)
        self.tracker.frame(payload, wall, int(self.now * 1e9))

    def pod(self, *, connected: bool = True, session: Judgement = AUTHENTICATED) -> Judgement:
        return self.tracker.pod_state(
            session, connected=connected, waiting_for=None, at=self.at, now=self.now
        )


def test_the_life_of_a_ladder() -> None:
    bench = Bench()
    assert bench.state is ContractState.WARMING_UP
    assert bench.pod().state is PodState.AUTHENTICATED
    bench.tracker.ladder_requested(KEY, bench.now)
    bench.frame(TOUCH)
    assert bench.state is ContractState.WARMING_UP
    assert bench.pod().state is PodState.STREAMING
    bench.now += 3
    bench.frame(DEEP)
    assert bench.state is ContractState.LIVE
    bench.now += SILENT_AFTER - 0.1
    assert bench.state is ContractState.LIVE
    bench.now += 0.1
    assert bench.state is ContractState.SILENT
    assert bench.pod().state is PodState.AUTHENTICATED
    assert "SILENT" in bench.pod().reason
    bench.frame(DEEP)
    assert bench.state is ContractState.LIVE


def test_a_thin_market_is_live_when_its_two_sided_state_is_old() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    bench.now += 4
    assert bench.state is ContractState.WARMING_UP
    bench.now += 0.1
    assert bench.state is ContractState.LIVE


def test_a_new_epoch_warms_up_again_and_an_unsolicited_window_does_not() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    bench.frame(DEEP)
    assert bench.state is ContractState.LIVE
    bench.frame(TOUCH)
    assert bench.state is ContractState.LIVE
    bench.tracker.ladder_requested(KEY, bench.now)
    assert bench.state is ContractState.LIVE
    bench.frame(TOUCH)
    assert bench.state is ContractState.WARMING_UP
    assert bench.tracker.health(bench.now, bench.at)[KEY].epoch == 2


def test_silence_counts_from_when_a_frame_was_due() -> None:
    bench = Bench()
    bench.now += SILENT_AFTER
    assert bench.state is ContractState.SILENT
    bench.tracker.connected(bench.now)
    assert bench.state is ContractState.WARMING_UP


def test_a_ladder_is_not_silent_before_it_was_due() -> None:
    """Ladders are asked for one after the other: the last one may wait for its turn."""
    bench = Bench()
    bench.now += SILENT_AFTER - 1
    bench.tracker.ladder_requested(KEY, bench.now)
    bench.now += SILENT_AFTER - 1
    assert bench.state is ContractState.WARMING_UP
    # Asking again makes nothing less silent.
    bench.tracker.ladder_requested(KEY, bench.now)
    bench.now += 1
    assert bench.state is ContractState.SILENT


def test_frames_that_cannot_be_read_are_no_sign_of_life() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    for _ in range(int(SILENT_AFTER)):
        bench.now += 1
        bench.frame(b'{"topic":"sbd+DU1+7","data":5}')
    assert bench.state is ContractState.SILENT
    sight = bench.tracker.sights(bench.now, bench.at)[KEY]
    assert sight.silence is Cause.UNDECODABLE
    assert sight.reason == "ladder frames come, but cannot be read (bad_shape)"
    assert bench.tracker.health(bench.now, bench.at)[KEY].ladder_frames == 1 + SILENT_AFTER


def test_a_sight_tells_when_a_request_was_answered() -> None:
    bench = Bench()
    bench.tracker.ladder_requested(KEY, bench.now)
    bench.now += 1
    bench.frame(DEEP)
    assert bench.tracker.sights(bench.now, bench.at)[KEY].answered_at is None
    bench.frame(TOUCH)
    answered = bench.now
    bench.now += 1
    bench.frame(DEEP)
    sight = bench.tracker.sights(bench.now, bench.at)[KEY]
    assert (sight.answered_at, sight.last_frame, sight.live) == (answered, bench.now, True)


def test_a_silent_ladder_says_what_is_known() -> None:
    bench = Bench()
    bench.now += SILENT_AFTER
    reason = bench.tracker.health(bench.now, bench.at)[KEY].reason
    assert reason is not None
    assert "nothing tells why" in reason
    assert bench.tracker.sights(bench.now, bench.at)[KEY].entitled is None
    bench.frame(b'{"topic":"smd+7","conid":7,"6509":"RpB","31":"H58.28"}')
    sight = bench.tracker.sights(bench.now, bench.at)[KEY]
    assert (sight.entitled, sight.halted, sight.silence) == (True, True, Cause.SILENT_LADDER)
    assert sight.reason is not None
    assert sight.reason.startswith("the last price reads H: trading is halted; field 6509 says RpB")
    bench.frame(b'{"topic":"smd+7","conid":7,"6509":"N"}')
    sight = bench.tracker.sights(bench.now, bench.at)[KEY]
    assert (sight.entitled, sight.silence) == (False, Cause.NO_ENTITLEMENT)
    assert "phone" in (sight.reason or "")


def test_what_a_session_does_not_hold_is_no_data_with_the_reason() -> None:
    bench = Bench()
    bench.tracker.hold_only([KEY], "this session holds 1 ladder")
    assert bench.state is ContractState.NO_DATA
    health = bench.tracker.health(bench.now, bench.at)[KEY]
    assert health.reason == "this session holds 1 ladder"
    assert bench.tracker.sights(bench.now, bench.at)[KEY].silence is None
    bench.tracker.hold_only([], "")
    assert bench.state is ContractState.WARMING_UP


def test_a_connection_that_ends_forgets_the_book() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    bench.frame(DEEP)
    bench.tracker.disconnected()
    assert bench.state is ContractState.WARMING_UP
    assert bench.pod(connected=False).state is PodState.AUTHENTICATED
    assert bench.pod().state is PodState.AUTHENTICATED


def test_silence_without_entitlement_is_no_data() -> None:
    bench = Bench()
    bench.frame(b'{"topic":"smd+7","conid":7,"6509":"DB"}')
    bench.now += SILENT_AFTER
    assert bench.state is ContractState.NO_DATA
    bench.frame(b'{"topic":"smd+7","conid":7,"6509":"RB"}')
    assert bench.state is ContractState.SILENT


def test_a_closed_market_may_be_silent() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=CHICAGO)
    bench = Bench(CalendarName.CME_GLOBEX, saturday)
    bench.now += 600
    assert bench.state is ContractState.MARKET_CLOSED
    assert bench.pod().state is PodState.STREAMING
    assert bench.pod(connected=False).state is PodState.AUTHENTICATED


def test_nothing_is_silent_just_after_the_opening() -> None:
    before_opening = datetime(2026, 11, 22, 16, 59, tzinfo=CHICAGO)
    bench = Bench(CalendarName.CME_GLOBEX, before_opening)
    bench.now += 59
    assert bench.state is ContractState.MARKET_CLOSED
    bench.now += 2
    assert bench.state is ContractState.WARMING_UP
    bench.now += SILENT_AFTER
    assert bench.state is ContractState.SILENT


def test_a_contract_that_was_taken_away_stays_visible() -> None:
    bench = Bench()
    bench.tracker.assign({}, bench.now)
    assert bench.state is ContractState.NOT_ASSIGNED
    assert bench.pod().state is PodState.AUTHENTICATED
    bench.tracker.assign({KEY: CalendarName.ALWAYS_OPEN}, bench.now)
    assert bench.state is ContractState.WARMING_UP


def test_a_contract_that_cannot_be_resolved_says_why() -> None:
    bench = Bench()
    bench.tracker.unresolvable(KEY, "no such month")
    assert bench.state is ContractState.NO_DATA
    assert "no such month" in bench.pod().reason


def test_another_conid_is_another_book() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    bench.frame(DEEP)
    bench.tracker.resolved(KEY, 8, bench.now)
    assert bench.state is ContractState.WARMING_UP
    bench.frame(TOUCH)
    assert bench.state is ContractState.WARMING_UP
    assert bench.tracker.contracts[KEY].ladder_frames == 2


@pytest.mark.parametrize(
    "session",
    [Judgement(s, "why") for s in (PodState.DOWN, PodState.COMPETING, PodState.PENALTY)],
)
def test_the_session_comes_first(session: Judgement) -> None:
    bench = Bench()
    bench.frame(TOUCH)
    assert bench.pod(session=session) == session


def test_without_an_assignment_the_reason_is_named() -> None:
    tracker = Tracker(SILENT_AFTER)
    judged = tracker.pod_state(
        AUTHENTICATED, connected=True, waiting_for="no assignment yet", at=AT, now=0
    )
    assert judged == Judgement(PodState.AUTHENTICATED, "no assignment yet")


def test_the_worst_contract_is_the_headline() -> None:
    states = {"a": ContractState.LIVE, "b": ContractState.SILENT, "c": ContractState.WARMING_UP}
    assert worst(states) == ("b", ContractState.SILENT)
    assert worst({}) is None


def test_undecodable_frames_are_counted_by_reason() -> None:
    bench = Bench()
    bench.frame(TOUCH)
    bench.frame(b"\xff")
    bench.frame(b'{"topic":"sbd+DU1+7","data":[]}')
    bench.frame(b'{"topic":"sbd+DU1"}')
    bench.frame(b'{"topic":"smd+7","84":"x"}')
    assert bench.tracker.undecodable == {
        "not_json": 1,
        "no_rows": 1,
        "bad_topic": 1,
        "bad_price": 1,
    }
    assert bench.tracker.contracts[KEY].book.suspect


def test_frames_of_unknown_contracts_change_nothing() -> None:
    bench = Bench()
    bench.frame(_ladder({9: -1, 11: 1}, conid=99))
    assert bench.tracker.contracts[KEY].ladder_frames == 0


def test_the_recorded_ladder_is_counted_right() -> None:
    bench = Bench()
    bench.tracker.resolved(KEY, CAPTURE_CONID, bench.now)
    for payload in capture_ladder_payloads():
        bench.now += 0.3
        bench.frame(payload)
    health = bench.tracker.health(bench.now, bench.at)[KEY]
    assert health.ladder_frames == 1525
    assert health.two_sided == 1524
    assert health.crossed == 0
    assert health.last_frame_at == bench.at.replace(microsecond=health.last_frame_at.microsecond)
    assert not bench.tracker.undecodable


@given(st.lists(st.binary(max_size=60) | st.sampled_from([TOUCH, DEEP, TOUCH[:-9]]), max_size=30))
def test_no_payload_makes_it_raise(payloads: list[bytes]) -> None:
    bench = Bench()
    for payload in payloads:
        bench.frame(payload)
    assert bench.state in ContractState
