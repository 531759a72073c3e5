"""The book obeys the observed semantics: points 1 to 14 of the observed ladder page."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.book import FrameRole, LadderBook, LadderUpdate
from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import WINDOW_ROWS, LadderRow, LadderRows, decode_ladder
from ib_platform_tests.support import capture_ladder_payloads

TICK = 10_000_000
TOP = 58_380_000_000


def row(number: int, size: int = 0, *, top: int = TOP, last: int | None = None) -> LadderRow:
    return LadderRow(number, top - number * TICK, size, last is not None, last)


def full(sizes: dict[int, int] | None = None, *, top: int = TOP) -> LadderRows:
    wanted = sizes or {}
    return LadderRows(tuple(row(n, wanted.get(n, 0), top=top) for n in range(WINDOW_ROWS)))


def delta(*rows: LadderRow) -> LadderRows:
    return LadderRows(rows)


def applied(book: LadderBook, frame: LadderRows) -> LadderUpdate:
    update = book.apply(frame)
    assert isinstance(update, LadderUpdate), update
    return update


def test_a_full_frame_lays_a_window_and_shows_the_touch() -> None:
    book = LadderBook()
    update = applied(book, full({9: -20, 11: 18}))
    assert (update.role, update.epoch, update.window) == (FrameRole.FULL, 1, 1)
    assert (update.top_price, update.tick) == (TOP, TICK)
    touch = book.touch()
    assert (touch.bid, touch.bid_size) == (TOP - 11 * TICK, 18)
    assert (touch.ask, touch.ask_size) == (TOP - 9 * TICK, 20)
    assert touch.two_sided
    assert not touch.crossed


def test_a_row_object_is_the_rows_complete_new_state() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    update = applied(book, delta(row(11), row(12, 21)))
    assert update.sizes[11] == 0
    assert update.sizes[12] == 21
    assert update.sizes[9] is None, "a row that is not in the frame is not known from it"
    assert book.touch().bid == TOP - 12 * TICK


def test_nothing_of_an_old_window_survives_a_full_frame() -> None:
    book = LadderBook()
    book.apply(full({n: -5 for n in range(10)} | {n: 5 for n in range(11, 21)}))
    update = applied(book, full({10: -1, 12: 2}, top=TOP + 7 * TICK))
    assert (update.epoch, update.window) == (1, 2)
    assert [size for size in book.sizes if size] == [-1, 2]


def test_an_epoch_begins_with_the_first_full_frame_after_a_request() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    book.subscription_requested()
    late = applied(book, delta(row(9, -4)))
    assert (late.epoch, late.window) == (1, 1), "a delta before the full frame is of the old epoch"
    first = applied(book, full({9: -4, 11: 18}))
    assert (first.epoch, first.window) == (2, 1)
    unsolicited = applied(book, full({9: -4, 11: 18}))
    assert (unsolicited.epoch, unsolicited.window) == (2, 2)


def test_a_delta_without_a_window_is_an_orphan() -> None:
    book = LadderBook()
    update = applied(book, delta(row(9, -4)))
    assert (update.role, update.window, update.top_price) == (FrameRole.ORPHAN, 0, None)
    assert not book.touch().two_sided


def test_nothing_is_known_after_a_disconnect_until_the_next_window() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    book.disconnected()
    assert book.touch().bid is None
    assert applied(book, delta(row(9, -4))).role is FrameRole.ORPHAN
    assert applied(book, full({9: -4})).epoch == 2


def test_the_ladder_around_zero_is_repriced_by_a_delta() -> None:
    book = LadderBook()
    book.apply(full(top=10 * TICK))
    assert not book.touch().two_sided
    rows = tuple(row(n, {9: -2, 11: 3}.get(n, 0)) for n in range(5, 16))
    update = applied(book, LadderRows(rows))
    assert (update.role, update.epoch, update.window) == (FrameRole.REPRICED, 1, 2)
    assert update.top_price == TOP
    assert book.touch().bid == TOP - 11 * TICK


def test_rows_that_disagree_about_prices_are_undecodable_and_make_the_book_suspect() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    answer = book.apply(delta(row(9, -4), row(10, 5, top=TOP + TICK)))
    assert isinstance(answer, Undecodable)
    assert answer.reason == "inconsistent_prices"
    assert applied(book, delta(row(9, -3))).suspect
    assert not applied(book, full({9: -3, 11: 18})).suspect


def test_twenty_one_rows_that_are_not_a_ladder_are_undecodable() -> None:
    rows = tuple(LadderRow(n, TOP - n * n * TICK, 0, False, None) for n in range(WINDOW_ROWS))
    flat = tuple(LadderRow(n, TOP, 0, False, None) for n in range(WINDOW_ROWS))
    for bad in (rows, flat):
        book = LadderBook()
        answer = book.apply(LadderRows(bad))
        assert isinstance(answer, Undecodable)
        assert answer.reason == "irregular_window"
        assert book.suspect
        assert book.window == 0


def test_a_lost_frame_makes_the_window_suspect_until_the_next() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    book.frame_lost()
    assert applied(book, delta(row(9, -4))).suspect
    assert not applied(book, full()).suspect


def test_warm_up_ends_when_a_side_shows_a_second_level() -> None:
    book = LadderBook()
    book.apply(full({9: -20, 11: 18}))
    assert not book.complete
    book.apply(delta(row(9, -21)))
    assert not book.complete
    book.apply(delta(row(8, -5), row(12, 6)))
    assert book.complete
    book.apply(delta(row(8), row(12)))
    assert book.complete, "a level that was emptied is known to be empty"
    book.apply(full({9: -20, 11: 18}))
    assert not book.complete, "a new window warms up again"


def test_the_last_trade_is_kept_with_its_frame_only() -> None:
    book = LadderBook()
    book.apply(full())
    update = applied(book, delta(row(10, last=3)))
    assert (update.last_price, update.last_size) == (TOP - 10 * TICK, 3)
    assert applied(book, delta(row(9, -1))).last_price is None


def test_a_crossed_book_is_reported_as_it_is() -> None:
    book = LadderBook()
    book.apply(full({9: 5, 11: -5}))
    assert book.touch().crossed


def test_the_recorded_frames_give_no_crossed_and_no_locked_state() -> None:
    book = LadderBook()
    two_sided = crossed = locked = 0
    for payload in capture_ladder_payloads():
        decoded = decode_ladder(payload)
        assert isinstance(decoded, LadderRows)
        before = book.window
        update = applied(book, decoded)
        if decoded.is_full:
            assert book.window == before + 1
            assert [abs(size) for size in book.sizes] == [abs(r.size) for r in decoded.rows]
        assert not update.suspect
        touch = book.touch()
        two_sided += touch.two_sided
        crossed += touch.crossed
        locked += touch.locked
    assert (two_sided, crossed, locked) == (1524, 0, 0)
    assert (book.epoch, book.window) == (1, 197), "196 full frames and one repriced delta"


_frames = st.lists(
    st.one_of(
        st.builds(
            lambda sizes, shift: full(sizes, top=TOP + shift * TICK),
            st.dictionaries(st.integers(0, 20), st.integers(-50, 50)),
            st.integers(-30, 30),
        ),
        st.builds(
            lambda sizes: LadderRows(tuple(row(n, s) for n, s in sorted(sizes.items()))),
            st.dictionaries(st.integers(0, 20), st.integers(-50, 50), min_size=1, max_size=20),
        ),
    ),
    max_size=30,
)


@given(_frames)
def test_a_book_is_a_function_of_its_window_alone(frames: list[LadderRows]) -> None:
    """Replaying only the frames since the last window gives the same sizes; and a book survives
    being written to disk and read back in the middle."""
    book, since_window = LadderBook(), list[LadderRows]()
    for frame in frames:
        book = msgspec.json.decode(msgspec.json.encode(book), type=LadderBook)
        update = book.apply(frame)
        assert isinstance(update, LadderUpdate)
        if update.role in (FrameRole.FULL, FrameRole.REPRICED):
            since_window = []
        if update.role is not FrameRole.ORPHAN:
            since_window.append(frame)
    expected = [0] * WINDOW_ROWS
    for frame in since_window:
        for item in frame.rows:
            expected[item.row] = item.size
    assert book.sizes == expected
