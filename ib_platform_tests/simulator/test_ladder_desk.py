"""Slots of a session: who holds a ladder, what silence means, what ubd ends."""

from __future__ import annotations

from datetime import date

from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_desk import LadderDesk
from ib_platform.simulator.ladder_view import LadderView
from ib_platform.simulator.market import Market

CONTRACT = Catalogue.on(date(2026, 11, 22)).months_of("CL")[0]
REPLAYED = 304037393


def opened(conid: int) -> LadderView | None:
    if conid == REPLAYED:
        return None
    return LadderView(Market(CONTRACT, seed=conid, start=0.0), seed=conid)


def conids(desk: LadderDesk, owner: object) -> list[int]:
    return [conid for conid, _ in desk.views_of(owner)]


def test_ladders_up_to_the_slots() -> None:
    desk = LadderDesk(2, opened)
    for conid in (1, 2, 3):
        desk.subscribe("a", conid, 0.0)
    assert conids(desk, "a") == [1, 2]
    assert len(desk) == 2


def test_a_request_again_takes_no_slot_and_keeps_the_view() -> None:
    desk = LadderDesk(1, opened)
    desk.subscribe("a", 1, 0.0)
    ((_, before),) = desk.views_of("a")
    desk.subscribe("a", 1, 5.0)
    ((_, after),) = desk.views_of("a")
    assert after is before
    assert len(desk) == 1


def test_owners_share_the_slots() -> None:
    desk = LadderDesk(2, opened)
    for owner in ("a", "b", "c"):
        desk.subscribe(owner, 1, 0.0)
    assert [conids(desk, owner) for owner in ("a", "b", "c")] == [[1], [1], []]


def test_leaving_frees_the_slots_of_one_owner() -> None:
    desk = LadderDesk(2, opened)
    desk.subscribe("a", 1, 0.0)
    desk.subscribe("b", 1, 0.0)
    desk.leave("a")
    desk.leave("nobody")
    desk.subscribe("b", 2, 0.0)
    assert conids(desk, "a") == []
    assert conids(desk, "b") == [1, 2]


def test_stop_all_ends_everybodys_ladders_and_says_whether_there_were_any() -> None:
    desk = LadderDesk(3, opened)
    assert not desk.stop_all()
    desk.subscribe("a", 1, 0.0)
    desk.subscribe("b", 2, 0.0)
    assert desk.stop_all()
    assert len(desk) == 0
    assert not desk.stop_all()


def test_a_replayed_ladder_holds_a_slot_and_shows_nothing_of_its_own() -> None:
    desk = LadderDesk(1, opened)
    desk.subscribe("a", REPLAYED, 0.0)
    desk.subscribe("a", REPLAYED, 1.0)
    desk.subscribe("a", 1, 0.0)
    assert len(desk) == 1
    assert conids(desk, "a") == []
    assert desk.stop_all()


def test_views_may_be_ended_while_they_are_walked() -> None:
    desk = LadderDesk(3, opened)
    for conid in (1, 2, 3):
        desk.subscribe("a", conid, 0.0)
    seen = []
    for conid, _ in desk.views_of("a"):
        desk.stop_all()
        seen.append(conid)
    assert seen == [1], "a ladder that was ended meanwhile sends nothing more"
