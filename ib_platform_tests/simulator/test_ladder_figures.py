"""Figures of a stream of ladder frames, on streams small enough to count by hand."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ladder_figures import figures, mean, quantile
from benchmarks.ladder_samples import Event, Frame, Request, collect

TOP = 5838


def frame(at: float, *rows: tuple[int, int, int | None]) -> Frame:
    """Rows as (row, signed size, last size or None); prices around 58.28, tick 0.01."""
    data = []
    for number, size, last in rows:
        price = f"{(TOP - number) / 100:.2f}"
        row: dict[str, object] = {
            "row": number,
            "focus": int(last is not None),
            "price": price if last is None else f"{last} @ {price}",
        }
        if size:
            row["bid" if size > 0 else "ask"] = str(abs(size))
        data.append(row)
    return Frame.of(at, json.dumps({"topic": "sbd+DU1000001+42", "data": data}).encode())


def full(at: float, *rows: tuple[int, int, int | None]) -> Frame:
    """A frame of 21 rows, empty but for the given ones."""
    given_rows = {row[0]: row for row in rows}
    return frame(at, *(given_rows.get(number, (number, 0, None)) for number in range(21)))


def touch(at: float) -> Frame:
    return full(at, (9, -4, None), (10, 5, 3))


def test_delays_and_window_lives_of_requests() -> None:
    depth = frame(4.0, *((n, -9 if n < 9 else 9, None) for n in range(20) if n not in (9, 10)))
    samples = collect([Request(0.0), Request(0.2), touch(0.5), depth, Request(6.0), touch(6.4)])
    assert samples.answer_delays == [0.5, pytest.approx(0.4)]
    assert samples.depth_delays == [3.5]
    assert samples.window_lives == [pytest.approx(5.9)]
    assert samples.sizes_in_answers == [2, 2]
    assert (samples.frames, samples.full_frames, samples.unsolicited) == (3, 2, 0)
    assert samples.almost_full == 1


def test_a_full_frame_without_request_is_unasked_and_has_no_warm_up() -> None:
    depth = frame(2.0, *((n, -9, None) for n in range(12)))
    samples = collect([Request(0.0), touch(0.5), touch(1.5), depth])
    assert samples.unsolicited == 1
    assert samples.depth_delays == []
    assert samples.answer_delays == [0.5]


def test_only_frames_of_warm_windows_count_for_the_market() -> None:
    events: list[Event] = [Request(0.0), touch(0.5)]
    events += [frame(at, (9, -size, None)) for at, size in ((1.0, 7), (4.4, 8), (4.8, 9))]
    events += [frame(5.4, (8, -6, None), (9, -7, None)), frame(6.3, (10, 6, 3))]
    samples = collect(events)
    assert samples.rows == [1, 2, 1], "4.4 is not older than four seconds in its window"
    assert samples.gaps == [pytest.approx(0.6), pytest.approx(0.9)]
    assert samples.size_steps == [1, 2, 1]


def test_pauses_of_the_client_are_not_the_markets() -> None:
    samples = collect(
        [touch(0.0), frame(5.0, (9, -8, None)), frame(40.0, (9, -1, 7), (10, 5, None))]
    )
    assert samples.gaps == []
    assert samples.watched == pytest.approx(5.0)
    assert samples.last_moves == []


def test_moves_of_the_last_price_and_visible_trades() -> None:
    events: list[Event] = [
        touch(0.0),
        frame(1.0, (10, 5, 4)),  # traded again at the same price
        frame(2.0, (10, 5, None), (8, -3, 1)),  # two ticks up
        frame(3.0, (8, -2, 1)),  # only the size of the row
    ]
    samples = collect(events)
    assert samples.trades_seen == 2
    assert samples.last_moves == [2]
    assert samples.watched == 3.0
    assert figures(samples)["last price: moves a minute"] == 20.0


def test_a_move_into_a_window_that_was_laid_anew_is_told_in_ticks() -> None:
    higher = Frame.of(
        1.0,
        json.dumps(
            {
                "data": [
                    {
                        "row": n,
                        "focus": int(n == 10),
                        "price": ("1 @ " if n == 10 else "") + f"{58.53 - n / 100:.2f}",
                    }
                    for n in range(21)
                ]
            }
        ).encode(),
    )
    assert collect([touch(0.0), higher]).last_moves == [15]


def test_spreads_sizes_and_crossed_states() -> None:
    laid = full(0.0, (8, -30, None), (9, -4, None), (10, 5, 3), (11, 20, None))
    samples = collect([laid, frame(5.0, (9, 0, None)), frame(6.0, (12, -1, None))])
    assert samples.spreads == [2, -2]
    assert samples.crossed == 1
    assert samples.touch_sizes[:2] == [5, 30]
    assert samples.deep_sizes[0] == 20


def test_figures_of_nothing_are_not_numbers_and_no_error() -> None:
    table = figures(collect([]))
    assert all(math.isnan(value) for name, value in table.items() if "crossed" not in name)


def test_what_is_no_ladder_frame_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Frame.of(0.0, b'{"topic":"sts"}')


def test_thousands_and_negative_prices() -> None:
    data = [{"row": n, "focus": 0, "price": f"{25_000 - n / 4:,.2f}"} for n in range(21)]
    data[3] |= {"focus": 1, "price": "2 @ " + str(data[3]["price"])}
    moved = [{"row": 3, "focus": 0, "price": "24,999.25"}]
    moved += [{"row": 7, "focus": 1, "price": "1 @ 24,998.25"}]
    events = [
        Frame.of(at, json.dumps({"data": rows}).encode())
        for at, rows in ((0.0, data), (1.0, moved))
    ]
    assert collect(events).last_moves == [4]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_quantiles_lie_among_the_values(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert quantile(values, 0) == min(values) <= found <= max(values) == quantile(values, 1)
    assert min(values) - 1e-6 <= mean(values) <= max(values) + 1e-6
