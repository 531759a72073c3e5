"""Slots of a session: who holds a ladder, what silence means, what ends one."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.behaviour import SeveralLaddersParameters
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_desk import LadderAnswer, LadderDesk
from ib_platform.simulator.ladder_view import LadderView
from ib_platform.simulator.synthetic import SyntheticMarket
from ib_platform.states import LadderMode

CONTRACT = Catalogue.on(date(2026, 11, 22)).months_of("CL")[0]
REPLAYED = 304037393


def opened(conid: int) -> LadderView | None:
    if conid == REPLAYED:
        return None
    return LadderView(SyntheticMarket(CONTRACT, seed=conid, start=0.0), seed=conid)


def desk_of(
    slots: int,
    mode: LadderMode = LadderMode.MULTIPLEX,
    *,
    most: int | None = None,
    lifetime: float | None = None,
) -> LadderDesk:
    parameters = SeveralLaddersParameters(mode=mode, most=most, lifetime=lifetime)
    return LadderDesk(parameters, slots, opened)


def conids(desk: LadderDesk, owner: object, now: float = 0.0) -> list[int]:
    return [conid for conid, _ in desk.views_of(owner, now)]


def test_ladders_up_to_the_slots() -> None:
    desk = desk_of(2)
    answers = [desk.subscribe("a", conid, 0.0) for conid in (1, 2, 3)]
    assert answers == [LadderAnswer.OPENED, LadderAnswer.OPENED, LadderAnswer.FULL]
    assert conids(desk, "a") == [1, 2]
    assert desk.conids_of("a") == (1, 2)
    assert len(desk) == 2


@pytest.mark.parametrize("mode", list(LadderMode))
def test_a_request_again_takes_no_slot_and_keeps_the_view(mode: LadderMode) -> None:
    desk = desk_of(1, mode)
    desk.subscribe("a", 1, 0.0)
    ((_, before),) = desk.views_of("a", 0.0)
    assert desk.subscribe("a", 1, 5.0) is LadderAnswer.AGAIN
    ((_, after),) = desk.views_of("a", 5.0)
    assert after is before
    assert len(desk) == 1


def test_owners_share_the_slots() -> None:
    desk = desk_of(2)
    for owner in ("a", "b", "c"):
        desk.subscribe(owner, 1, 0.0)
    assert [conids(desk, owner) for owner in ("a", "b", "c")] == [[1], [1], []]


def test_the_parameter_comes_before_the_users_slots() -> None:
    desk = desk_of(3, most=1)
    desk.subscribe("a", 1, 0.0)
    assert desk.subscribe("a", 2, 0.0) is LadderAnswer.FULL
    assert desk_of(0, most=1).subscribe("a", 1, 0.0) is LadderAnswer.OPENED


@pytest.mark.parametrize("mode", list(LadderMode))
def test_without_a_slot_no_ladder_ever_arrives(mode: LadderMode) -> None:
    desk = desk_of(0, mode)
    assert desk.subscribe("a", 1, 0.0) is LadderAnswer.FULL
    assert len(desk) == 0


def test_a_newer_ladder_replaces_the_older_ones_of_all_websockets() -> None:
    desk = desk_of(3, LadderMode.REPLACE)
    desk.subscribe("a", 1, 0.0)
    assert desk.subscribe("b", 2, 0.0) is LadderAnswer.OPENED
    assert conids(desk, "a") == []
    assert conids(desk, "b") == [2]
    assert desk.subscribe("a", 1, 0.0) is LadderAnswer.OPENED
    assert conids(desk, "b") == []


def test_the_first_ladder_wins_until_it_ends() -> None:
    desk = desk_of(3, LadderMode.FIRST_WINS)
    desk.subscribe("a", 1, 0.0)
    assert desk.subscribe("a", 2, 0.0) is LadderAnswer.FULL
    assert desk.subscribe("b", 3, 0.0) is LadderAnswer.FULL
    assert conids(desk, "a") == [1]
    desk.end("a", 1)
    assert desk.subscribe("b", 3, 0.0) is LadderAnswer.OPENED


def test_leaving_frees_the_slots_of_one_owner() -> None:
    desk = desk_of(2)
    desk.subscribe("a", 1, 0.0)
    desk.subscribe("b", 1, 0.0)
    desk.leave("a")
    desk.leave("nobody")
    desk.subscribe("b", 2, 0.0)
    assert conids(desk, "a") == []
    assert conids(desk, "b") == [1, 2]


def test_stop_all_ends_everybodys_ladders_and_says_whether_there_were_any() -> None:
    desk = desk_of(3)
    assert not desk.stop_all()
    desk.subscribe("a", 1, 0.0)
    desk.subscribe("b", 2, 0.0)
    assert desk.stop_all()
    assert len(desk) == 0
    assert not desk.stop_all()


def test_ending_the_last_one_leaves_nothing_to_stop() -> None:
    desk = desk_of(3)
    desk.subscribe("a", 1, 0.0)
    desk.end("a", 7)
    desk.end("a", 1)
    desk.end("nobody", 1)
    assert not desk.stop_all()


def test_a_ladder_lives_as_long_as_the_parameter_says_and_a_request_renews_it() -> None:
    desk = desk_of(1, lifetime=10.0)
    desk.subscribe("a", 1, 0.0)
    desk.subscribe("a", 1, 8.0)
    assert conids(desk, "a", 17.9) == [1]
    assert conids(desk, "a", 18.0) == []
    assert len(desk) == 0


def test_an_expired_ladder_makes_room_though_nobody_looked() -> None:
    desk = desk_of(1, lifetime=10.0)
    desk.subscribe("a", REPLAYED, 0.0)
    assert desk.subscribe("b", 1, 9.9) is LadderAnswer.FULL
    assert desk.subscribe("b", 1, 10.0) is LadderAnswer.OPENED


def test_ladders_do_not_expire_by_default() -> None:
    desk = desk_of(1)
    desk.subscribe("a", 1, 0.0)
    assert conids(desk, "a", 1e9) == [1]


def test_a_replayed_ladder_holds_a_slot_and_shows_nothing_of_its_own() -> None:
    desk = desk_of(1)
    desk.subscribe("a", REPLAYED, 0.0)
    desk.subscribe("a", REPLAYED, 1.0)
    desk.subscribe("a", 1, 0.0)
    assert len(desk) == 1
    assert conids(desk, "a") == []
    assert desk.stop_all()


def test_views_may_be_ended_while_they_are_walked() -> None:
    desk = desk_of(3)
    for conid in (1, 2, 3):
        desk.subscribe("a", conid, 0.0)
    seen = []
    for conid, _ in desk.views_of("a", 0.0):
        desk.stop_all()
        seen.append(conid)
    assert seen == [1], "a ladder that was ended meanwhile sends nothing more"


def test_a_ladder_opened_anew_while_walking_waits_for_the_next_walk() -> None:
    desk = desk_of(3)
    for conid in (1, 2):
        desk.subscribe("a", conid, 0.0)
    seen = []
    for conid, _ in desk.views_of("a", 0.0):
        seen.append(conid)
        if conid == 1:
            desk.stop_all()
            desk.subscribe("a", 2, 0.0)
    assert seen == [1]
    assert conids(desk, "a") == [2]


@given(
    st.sampled_from(LadderMode),
    st.integers(0, 4),
    st.lists(
        st.tuples(st.sampled_from("+-x!"), st.sampled_from("abc"), st.integers(1, 5)), max_size=40
    ),
)
def test_there_are_never_more_ladders_than_the_mode_allows(
    mode: LadderMode, slots: int, steps: list[tuple[str, str, int]]
) -> None:
    desk = LadderDesk(SeveralLaddersParameters(mode=mode), slots, lambda _: None)
    for action, owner, conid in steps:
        match action:
            case "+":
                answer = desk.subscribe(owner, conid, 0.0)
                assert (answer is LadderAnswer.FULL) == (conid not in desk.conids_of(owner))
            case "-":
                desk.end(owner, conid)
            case "x":
                desk.leave(owner)
            case _:
                desk.stop_all()
        assert len(desk) <= (slots if mode is LadderMode.MULTIPLEX else min(slots, 1))
        assert len(desk) == sum(len(desk.conids_of(owner)) for owner in "abc")
