"""What is asked for, and when it is asked for again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.ladder_watch import LadderSight
from ib_platform.streamer.requests import Request, carry_out
from ib_platform.streamer.subscriptions import Subscriptions

CL, ES = "CL.NYMEX.front", "ES.CME.front"
NOTHING_YET = LadderSight()


def _subscriptions(**options: Any) -> Subscriptions:
    return Subscriptions("DU1", **{"chance": lambda: 0.5, **options})


def _live(answered_at: float) -> LadderSight:
    return LadderSight(live=True, answered_at=answered_at, last_frame=answered_at)


def _silent(answered_at: float | None) -> LadderSight:
    return LadderSight(answered_at=answered_at, silence=Cause.SILENT_LADDER, entitled=True)


def _texts(requests: list[Request]) -> list[str]:
    return [request.text for request in requests if request.text is not None]


def _ladders(requests: list[Request]) -> list[str]:
    return [text for text in _texts(requests) if text.startswith("sbd")]


def _open(conids: dict[str, int], now: float = 0, **options: Any) -> Subscriptions:
    """Nothing is seen yet, so that all are asked for at once, as in a closed market."""
    subscriptions = _subscriptions(**options)
    subscriptions.desire(conids)
    subscriptions.plan(now, {})
    return subscriptions


def test_a_new_contract_is_asked_for_once_ladder_and_quote() -> None:
    subscriptions = _subscriptions()
    subscriptions.desire({CL: 7, ES: 8})
    requests = subscriptions.plan(0, {})
    assert [t.partition("+{")[0] for t in _texts(requests)] == [
        "sbd+DU1+7",
        "smd+7",
        "sbd+DU1+8",
        "smd+8",
    ]
    assert [r.requests_ladder for r in requests] == [True, False, True, False]
    assert all(r.kind is StreamEventKind.SUBSCRIBE_REQUESTED for r in requests)
    assert (requests[0].contract, requests[0].conid, requests[0].cause) == (CL, 7, None)
    # A quote's event must not look like the beginning of a ladder's epoch.
    assert (requests[1].contract, requests[1].conid) == (None, None)
    assert requests[1].detail["contract"] == CL
    assert subscriptions.plan(1, {CL: NOTHING_YET, ES: NOTHING_YET}) == []


def test_an_unanswered_ladder_is_asked_for_again_with_growing_patience() -> None:
    subscriptions = _open({CL: 7})
    asked = [
        float(second)
        for second in range(1, 200)
        if _ladders(subscriptions.plan(second, {CL: NOTHING_YET}))
    ]
    # The market is seen to be open from second 1.
    assert asked == [11, 31, 71, 131, 191]


def test_frames_of_before_the_request_are_no_answer() -> None:
    subscriptions = _open({CL: 7}, now=100)
    old = LadderSight(answered_at=99)
    assert subscriptions.plan(100, {CL: old}) == []
    assert subscriptions.plan(109, {CL: old}) == []
    assert _ladders(subscriptions.plan(110, {CL: old})) == ["sbd+DU1+7"]


def test_deltas_without_a_full_frame_are_no_answer() -> None:
    subscriptions = _open({CL: 7})
    for second in range(10):
        assert subscriptions.plan(second, {CL: LadderSight(last_frame=second)}) == []
    assert _ladders(subscriptions.plan(10, {CL: LadderSight(last_frame=10)})) == ["sbd+DU1+7"]


def test_a_ladder_that_sends_deltas_only_and_falls_silent_is_asked_for_at_once() -> None:
    """Its patience may have grown to a minute; a silence is worth a request all the same."""
    subscriptions = _open({CL: 7})
    for second in range(75):
        subscriptions.plan(second, {CL: LadderSight(last_frame=second)})
    silent = LadderSight(last_frame=74, silence=Cause.SILENT_LADDER, entitled=True)
    event, request = subscriptions.plan(104, {CL: silent})
    assert event.kind is StreamEventKind.LADDER_SILENT
    assert (request.text, request.detail["why"]) == ("sbd+DU1+7", "silent")
    assert _ladders(subscriptions.plan(105, {CL: silent})) == []


def test_an_answered_ladder_is_left_alone() -> None:
    subscriptions = _open({CL: 7})
    for second in range(1, 500, 7):
        assert subscriptions.plan(second, {CL: _live(1)}) == []


def test_silence_is_an_event_once_and_a_request() -> None:
    subscriptions = _open({CL: 7})
    silent = _silent(5)
    event, request = subscriptions.plan(35, {CL: silent})
    assert (event.kind, event.cause, event.text) == (
        StreamEventKind.LADDER_SILENT,
        Cause.SILENT_LADDER,
        None,
    )
    assert (event.contract, event.conid) == (CL, 7)
    assert (request.text, request.cause) == ("sbd+DU1+7", Cause.SILENT_LADDER)
    assert subscriptions.plan(36, {CL: silent}) == []
    (again,) = subscriptions.plan(45, {CL: silent})
    assert again.text == "sbd+DU1+7"
    assert subscriptions.plan(46, {CL: _live(45.5)}) == []
    kinds = [r.kind for r in subscriptions.plan(80, {CL: _silent(45.5)})]
    assert kinds == [StreamEventKind.LADDER_SILENT, StreamEventKind.SUBSCRIBE_REQUESTED]


def test_a_silence_that_becomes_another_is_told_anew() -> None:
    subscriptions = _open({CL: 7})
    subscriptions.plan(35, {CL: _silent(5)})
    denied = LadderSight(
        answered_at=5, silence=Cause.NO_ENTITLEMENT, entitled=False, reason="6509 says N"
    )
    (event,) = subscriptions.plan(36, {CL: denied})
    assert (event.cause, event.detail) == (Cause.NO_ENTITLEMENT, {"reason": "6509 says N"})
    ladder, quote = subscriptions.plan(45, {CL: denied})
    assert ladder.cause is Cause.NO_ENTITLEMENT
    # The quote may say by now that it has become real time again.
    assert (quote.detail["topic"], quote.detail["why"]) == ("smd", "no_answer")


def test_without_entitlement_requests_become_rare_until_it_is_back() -> None:
    subscriptions = _open({CL: 7})
    denied = LadderSight(silence=Cause.NO_ENTITLEMENT, entitled=False)
    asked = [
        second
        for second in range(3000)
        if _ladders(subscriptions.plan(float(second), {CL: denied}))
    ]
    assert asked == [10, 30, 70, 150, 310, 630, 1230, 1830, 2430]
    back = LadderSight(silence=Cause.SILENT_LADDER, entitled=True)
    assert _ladders(subscriptions.plan(3000, {CL: back})) == ["sbd+DU1+7"]


def test_a_closed_market_is_not_asked_again() -> None:
    subscriptions = _open({CL: 7})
    for second in range(1, 500, 9):
        assert subscriptions.plan(second, {CL: LadderSight(market_open=False)}) == []


def test_after_the_break_a_ladder_has_its_time_to_answer() -> None:
    """It was asked for in the break: at the opening its frames come by themselves."""
    subscriptions = _open({CL: 7})
    subscriptions.plan(1000, {CL: LadderSight(market_open=False)})
    assert subscriptions.plan(1001, {CL: NOTHING_YET}) == []
    assert subscriptions.plan(1010, {CL: NOTHING_YET}) == []
    assert _ladders(subscriptions.plan(1011, {CL: NOTHING_YET})) == ["sbd+DU1+7"]


def test_a_ladder_that_stays_silent_over_the_break_is_healed_after_it() -> None:
    subscriptions = _open({CL: 7})
    assert len(subscriptions.plan(35, {CL: _silent(5)})) == 2
    closed = LadderSight(market_open=False, answered_at=5)
    for second in range(36, 3636, 60):
        assert _ladders(subscriptions.plan(second, {CL: closed})) == []
    assert subscriptions.plan(3700, {CL: LadderSight(answered_at=5)}) == []
    assert _ladders(subscriptions.plan(3710, {CL: LadderSight(answered_at=5)})) == ["sbd+DU1+7"]


@pytest.mark.parametrize(("chance", "after"), [(0.0, 486), (0.5, 540), (1.0, 594)])
def test_quotes_are_renewed_after_nine_minutes_a_tenth_more_or_less(
    chance: float, after: int
) -> None:
    subscriptions = _open({CL: 7}, chance=lambda: chance)
    assert subscriptions.plan(after - 1, {CL: _live(1)}) == []
    (renewal,) = subscriptions.plan(after, {CL: _live(1)})
    assert renewal.text is not None
    assert renewal.text.startswith("smd+7+")
    assert renewal.detail["why"] == "renewal"
    assert subscriptions.plan(after + 1, {CL: _live(1)}) == []


def test_each_quote_has_its_own_instant() -> None:
    chances = iter([0.0, 1.0, 0.5, 0.5])
    subscriptions = _open({CL: 7, ES: 8}, chance=lambda: next(chances))
    sights = {CL: _live(1), ES: _live(1)}
    renewed = [
        (second, request.detail["contract"])
        for second in range(1, 700)
        for request in subscriptions.plan(second, sights)
    ]
    assert renewed == [(486, CL), (594, ES)]


def test_taking_one_ladder_away_asks_for_the_others_again() -> None:
    subscriptions = _open({CL: 7, ES: 8})
    subscriptions.desire({ES: 8})
    requests = subscriptions.plan(50, {ES: _live(49)})
    assert _texts(requests) == ["ubd+DU1", "umd+7+{}", "sbd+DU1+8"]
    removed, _, again = requests
    assert (removed.kind, removed.cause, removed.contract) == (
        StreamEventKind.UNSUBSCRIBED,
        Cause.NOT_ASSIGNED,
        CL,
    )
    assert (again.cause, again.contract) == (Cause.RESUBSCRIBED, ES)
    # The frame of second 49 was before the new request: it does not count as its answer.
    assert subscriptions.plan(59, {ES: _live(49)}) == []
    assert _ladders(subscriptions.plan(60, {ES: _live(49)})) == ["sbd+DU1+8"]


def test_two_ladders_taken_away_need_one_ubd_and_two_events() -> None:
    subscriptions = _open({CL: 7, ES: 8})
    subscriptions.desire({})
    requests = subscriptions.plan(50, {})
    assert _texts(requests) == ["ubd+DU1", "umd+7+{}", "umd+8+{}"]
    assert [r.contract for r in requests[:2]] == [CL, ES]


def test_another_conid_of_the_same_contract_is_unsubscribed_and_subscribed() -> None:
    subscriptions = _open({CL: 7})
    subscriptions.desire({CL: 9})
    texts = [t.partition("+{")[0] for t in _texts(subscriptions.plan(50, {}))]
    assert texts == ["ubd+DU1", "umd+7", "sbd+DU1+9", "smd+9"]


def test_after_a_reconnect_everything_is_asked_for_again() -> None:
    subscriptions = _open({CL: 7})
    subscriptions.forget()
    assert _ladders(subscriptions.plan(60, {CL: _live(59)})) == ["sbd+DU1+7"]


def test_what_was_interrupted_is_asked_for_again_with_the_cause() -> None:
    subscriptions = _open({CL: 7})
    subscriptions.forget(Cause.COMPETING_LOGIN)
    subscriptions.forget()
    subscriptions.desire({CL: 7, ES: 8})
    requests = [r for r in subscriptions.plan(1, {}) if r.requests_ladder]
    assert [(r.contract, r.cause) for r in requests] == [(CL, Cause.COMPETING_LOGIN), (ES, None)]
    subscriptions.forget()
    requests = [r for r in subscriptions.plan(2, {}) if r.requests_ladder]
    assert [r.cause for r in requests] == [None, None]


def test_a_loss_renews_every_open_ladder_once() -> None:
    subscriptions = _open({CL: 7, ES: 8})
    sights = {CL: _live(0.5), ES: _live(0.5)}
    subscriptions.renew(Cause.DISK_FULL)
    requests = subscriptions.plan(1, sights)
    assert [(r.text, r.cause) for r in requests] == [
        ("sbd+DU1+7", Cause.DISK_FULL),
        ("sbd+DU1+8", Cause.DISK_FULL),
    ]
    assert subscriptions.plan(2, sights) == []


def test_the_farewell_ends_everything_that_was_asked_for() -> None:
    subscriptions = _open({CL: 7, ES: 8})
    assert _texts(subscriptions.farewell()) == ["ubd+DU1", "umd+7+{}", "umd+8+{}"]
    assert subscriptions.farewell() == []
    assert _subscriptions().farewell() == []


async def test_nothing_is_sent_that_was_not_recorded_before() -> None:
    log: list[str] = []

    async def send(text: str) -> None:
        log.append(text)

    subscriptions = _subscriptions()
    subscriptions.desire({CL: 7})
    requests = subscriptions.plan(0, {})
    await carry_out(requests, lambda r: log.append(f"event {r.detail['topic']}"), send)
    assert log[0::2] == ["event sbd", "event smd"]
    assert log[1] == "sbd+DU1+7"


async def test_what_cannot_be_recorded_is_not_sent() -> None:
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    def refuse(_: Request) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await carry_out([Request(StreamEventKind.UNSUBSCRIBED, "ubd+DU1")], refuse, send)
    assert sent == []


DESIRES = st.lists(st.integers(1, 4), max_size=3, unique=True).map(
    lambda conids: dict(zip([CL, ES, "NQ.CME.front"], conids, strict=False))
)


@given(st.lists(DESIRES, max_size=8))
def test_what_the_server_holds_is_what_is_desired(desires: list[dict[str, int]]) -> None:
    """A server that obeys ``sbd``, ``ubd`` (account-wide) and ``smd``/``umd`` ends up right."""
    subscriptions = _subscriptions()
    ladders: set[int] = set()
    quotes: set[int] = set()
    now = 0.0
    for desired in desires:
        subscriptions.desire(desired)
        now += 1
        for text in _texts(subscriptions.plan(now, {})):
            word, *parts = text.split("+")
            if word == "ubd":
                ladders.clear()
            elif word == "sbd":
                ladders.add(int(parts[1]))
            elif word == "smd":
                quotes.add(int(parts[0]))
            elif word == "umd":
                quotes.discard(int(parts[0]))
        assert ladders == set(desired.values())
        assert quotes == set(desired.values())
