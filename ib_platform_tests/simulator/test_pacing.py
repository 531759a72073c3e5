"""Token buckets and the penalty box, in fake time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.pacing import Pacing, PacingParameters

HOME, AWAY = "192.0.2.1", "192.0.2.2"


def pacing(**changes: Any) -> Pacing:
    return Pacing(PacingParameters(**changes))


def allowed(paced: Pacing, path: str, *instants: float, caller: str = "papera01") -> list[bool]:
    return [paced.allows(HOME, caller, path, now) for now in instants]


def test_ten_a_second_and_no_more() -> None:
    paced = pacing(penalty=0.0)
    assert allowed(paced, "/trsrv/futures", *[0.0] * 11) == [True] * 10 + [False]
    assert allowed(paced, "/trsrv/futures", 1.0) == [True]


def test_a_steady_pace_is_never_refused() -> None:
    assert all(allowed(pacing(), "/x", *[at / 10 for at in range(1_000)]))


def test_sso_validate_once_a_minute() -> None:
    paced = pacing(penalty=0.0)
    assert allowed(paced, "/sso/validate", 0.0, 30.0, 60.0) == [True, False, True]
    assert allowed(pacing(endpoint_limits=False), "/sso/validate", 0.0, 1.0) == [True, True]


def test_a_burst_of_tickles_is_forgiven() -> None:
    paced = pacing(endpoint_burst=2, penalty=0.0)
    assert allowed(paced, "/tickle", 0.0, 0.1, 0.2, 1.2) == [True, True, False, True]


def test_paths_below_a_limited_one_share_its_bucket() -> None:
    paced = pacing(penalty=0.0)
    assert allowed(paced, "/pa/performance", 0.0) == [True]
    assert allowed(paced, "/pa/summary", 1.0) == [False]


def test_a_slash_at_the_end_is_the_same_path() -> None:
    paced = Pacing(PacingParameters())
    assert paced.allows(HOME, "papera01", "/iserver/account/trades", 0.0)
    assert not paced.allows(HOME, "papera01", "/iserver/account/trades/", 1.0)


def test_the_box_holds_everybody_behind_the_address() -> None:
    paced = pacing(penalty=900.0)
    allowed(paced, "/x", *[0.0] * 11)
    assert allowed(paced, "/x", 899.0, caller="paperb02") == [False]
    assert paced.boxed_until(HOME, 1.0) == 900.0
    assert paced.penalties(400.0) == {HOME: 500.0}
    assert paced.allows(AWAY, "paperc03", "/x", 1.0)
    assert allowed(paced, "/x", 900.0) == [True]
    assert paced.boxed_until(HOME, 900.0) is None


def test_callers_have_buckets_of_their_own() -> None:
    paced = pacing()
    assert all(allowed(paced, "/x", *[0.0] * 10))
    assert all(allowed(paced, "/x", *[0.0] * 10, caller="paperb02"))


def test_an_injected_penalty_and_a_tighter_limit() -> None:
    paced = pacing(penalty=60.0)
    paced.penalise_everybody(0.0)
    assert allowed(paced, "/x", 59.0, 60.0) == [False, True]
    assert paced.penalties(0.0) == {"everybody": 60.0}
    tight = pacing(penalty=0.0)
    answers = [tight.allows(HOME, "papera01", "/x", now, limit=1.0) for now in (0.0, 0.5, 1.5)]
    assert answers == [True, False, True]


def test_one_user_can_be_punished_alone() -> None:
    paced = pacing(penalty=60.0)
    paced.penalise_caller("PaperA01", 0.0)
    assert allowed(paced, "/x", 1.0) == [False]
    assert allowed(paced, "/x", 1.0, caller="paperb02") == [True]
    assert paced.penalties(10.0) == {"papera01": 50.0}
    assert allowed(paced, "/x", 60.0) == [True]


def test_a_limit_of_nothing_is_not_no_limit() -> None:
    paced = pacing(penalty=0.0)
    answers = [paced.allows(HOME, "papera01", "/x", now, limit=0.0) for now in (0.0, 1.0, 900.0)]
    assert answers == [True, False, False]


@given(st.lists(st.floats(0, 3), max_size=200))
def test_no_window_holds_more_than_burst_and_rate(pauses: list[float]) -> None:
    paced, now, passed = pacing(penalty=0.0, endpoint_limits=False), 0.0, []
    for pause in pauses:
        now += pause
        if paced.allows(HOME, "papera01", "/x", now):
            passed.append(now)
    for begin in passed:
        inside = [at for at in passed if begin <= at < begin + 5]
        assert len(inside) <= 10 + 50 + 1
