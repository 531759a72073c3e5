"""What is asked for, and when it is asked for again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.subscriptions import (
    LadderSight,
    Request,
    Subscriptions,
    carry_out,
)

CL, ES = "CL.NYMEX.front", "ES.CME.front"
NOTHING_YET = LadderSight(None, True, False)


def _texts(requests: list[Request]) -> list[str]:
    return [request.text for request in requests if request.text is not None]


def _ladders(requests: list[Request]) -> list[str]:
    return [text for text in _texts(requests) if text.startswith("sbd")]


def _open(conids: dict[str, int], now: float = 0) -> Subscriptions:
    subscriptions = Subscriptions("DU1")
    subscriptions.desire(conids)
    subscriptions.plan(now, {})
    return subscriptions


def test_a_new_contract_is_asked_for_once_ladder_and_quote() -> None:
    subscriptions = Subscriptions("DU1")
    subscriptions.desire({CL: 7, ES: 8})
    requests = subscriptions.plan(0, {CL: NOTHING_YET})
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
    assert asked == [10, 30, 70, 130, 190]


def test_frames_of_before_the_request_are_no_answer() -> None:
    subscriptions = _open({CL: 7}, now=100)
    old = LadderSight(99, True, False)
    assert subscriptions.plan(109, {CL: old}) == []
    assert _ladders(subscriptions.plan(110, {CL: old})) == ["sbd+DU1+7"]


def test_an_answered_ladder_is_left_alone() -> None:
    subscriptions = _open({CL: 7})
    for second in range(1, 500, 7):
        assert subscriptions.plan(second, {CL: LadderSight(second - 0.5, True, False)}) == []


def test_silence_is_an_event_once_and_a_request() -> None:
    subscriptions = _open({CL: 7})
    silent = LadderSight(5, True, True)
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
    assert subscriptions.plan(46, {CL: LadderSight(45.5, True, False)}) == []
    kinds = [r.kind for r in subscriptions.plan(80, {CL: LadderSight(45.5, True, True)})]
    assert kinds == [StreamEventKind.LADDER_SILENT, StreamEventKind.SUBSCRIBE_REQUESTED]


def test_a_closed_market_is_not_asked_again() -> None:
    subscriptions = _open({CL: 7})
    for second in range(1, 500, 9):
        assert subscriptions.plan(second, {CL: LadderSight(None, False, False)}) == []


def test_quotes_are_renewed_after_nine_minutes() -> None:
    subscriptions = _open({CL: 7})
    answered = {CL: LadderSight(539, True, False)}
    assert subscriptions.plan(539, answered) == []
    (renewal,) = subscriptions.plan(540, answered)
    assert renewal.text is not None
    assert renewal.text.startswith("smd+7+")
    assert renewal.detail["why"] == "renewal"
    assert subscriptions.plan(541, answered) == []


def test_taking_one_ladder_away_asks_for_the_others_again() -> None:
    subscriptions = _open({CL: 7, ES: 8})
    subscriptions.desire({ES: 8})
    requests = subscriptions.plan(50, {ES: LadderSight(49, True, False)})
    assert _texts(requests) == ["ubd+DU1", "umd+7+{}", "sbd+DU1+8"]
    removed, _, again = requests
    assert (removed.kind, removed.cause, removed.contract) == (
        StreamEventKind.UNSUBSCRIBED,
        Cause.NOT_ASSIGNED,
        CL,
    )
    assert (again.cause, again.contract) == (Cause.RESUBSCRIBED, ES)
    # The frame of second 49 was before the new request: it does not count as its answer.
    assert subscriptions.plan(59, {ES: LadderSight(49, True, False)}) == []
    assert _ladders(subscriptions.plan(60, {ES: LadderSight(49, True, False)})) == ["sbd+DU1+8"]


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
    assert _ladders(subscriptions.plan(60, {CL: LadderSight(59, True, False)})) == ["sbd+DU1+7"]


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
    sights = {CL: LadderSight(0.5, True, False), ES: LadderSight(0.5, True, False)}
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
    assert Subscriptions("DU1").farewell() == []


async def test_nothing_is_sent_that_was_not_recorded_before() -> None:
    log: list[str] = []

    async def send(text: str) -> None:
        log.append(text)

    subscriptions = Subscriptions("DU1")
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
    subscriptions = Subscriptions("DU1")
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
