"""Quote frames: all fields first, then changed ones only; as recorded, with an end."""

from __future__ import annotations

import json
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.prices import price_nanos
from ib_platform.marketdata.quotes import QUOTE_FIELDS, Quote, decode_quote
from ib_platform.simulator.behaviour import QuoteParameters
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.quote_fields import field_values
from ib_platform.simulator.quote_view import QuoteView, Values
from ib_platform.simulator.synthetic import SyntheticMarket

CONTRACT = Catalogue.on(date(2026, 11, 22)).months_of("ES")[0]
HEAD = {"topic", "conid", "conidEx", "server_id", "6119", "_updated"}
PLAIN = QuoteParameters(answer_delay=(0.0, 0.0), first_twice_share=0.0, bare_first_share=0.0)
WANTED = (*QUOTE_FIELDS, "55")
EVERY = PLAIN.sampled_every


def market(seed: int = 1) -> SyntheticMarket:
    return SyntheticMarket(CONTRACT, seed=seed, start=0.0)


def view(
    of: SyntheticMarket, fields: tuple[str, ...], parameters: QuoteParameters = PLAIN
) -> QuoteView:
    def sample(now: float) -> Values:
        of.advance(now)
        return field_values(of, fields, "RB")

    return QuoteView(
        CONTRACT.conid, sample, server_id="q4", now=0.0, luck=Random(1), parameters=parameters
    )


def only(frames: list[bytes]) -> dict[str, Any]:
    (frame,) = frames
    message: dict[str, Any] = json.loads(frame)
    return message


def test_the_first_frame_has_all_fields() -> None:
    (payload,) = view(market(), QUOTE_FIELDS).poll(0.0, 1_763_026_200_875)
    message = json.loads(payload)
    assert message["topic"] == f"smd+{CONTRACT.conid}"
    assert message["conid"] == CONTRACT.conid
    assert message["conidEx"] == str(CONTRACT.conid)
    assert message["server_id"] == message["6119"] == "q4"
    assert set(message) - HEAD == set(QUOTE_FIELDS)
    quote = decode_quote(payload)
    assert isinstance(quote, Quote)
    assert quote.updated_ms == 1_763_026_200_875
    assert quote.availability == "RB"
    assert quote.bid is not None
    assert quote.ask is not None
    assert quote.bid < quote.ask


def test_the_first_frame_waits_for_its_delay() -> None:
    subject = view(market(), ("31",), QuoteParameters(answer_delay=(0.2, 0.2)))
    assert subject.poll(0.1, 0) == []
    assert subject.poll(0.2, 0)


def test_the_first_frame_may_come_twice_with_another_order_of_keys() -> None:
    twice = QuoteParameters(answer_delay=(0.0, 0.0), first_twice_share=1.0, bare_first_share=0.0)
    subject = view(market(), QUOTE_FIELDS, twice)
    first, second = subject.poll(0.0, 5)
    assert first != second
    assert json.loads(first) == json.loads(second)
    assert all(len(subject.poll(step * EVERY, step)) < 2 for step in range(1, 50))


def test_a_bare_first_frame_knows_the_contract_and_the_values_follow() -> None:
    bare = QuoteParameters(answer_delay=(0.0, 0.0), first_twice_share=0.0, bare_first_share=1.0)
    subject = view(market(), WANTED, bare)
    assert set(only(subject.poll(0.0, 0))) - HEAD == {"55"}
    second = only(subject.poll(EVERY, 1))
    assert set(second) - HEAD == set(WANTED) - {"55"}


def test_later_frames_have_changed_fields_only() -> None:
    subject, sent, frames = view(market(), WANTED), {}, 0
    for step in range(400):
        if not (found := subject.poll(step * EVERY, step)):
            continue
        fields = {key: value for key, value in only(found).items() if key not in HEAD}
        assert all(sent.get(key) != value for key, value in fields.items())
        sent |= fields
        frames += 1
    assert 50 < frames <= 400
    assert sent["55"] == "ES"


def test_the_merged_quote_is_the_market() -> None:
    of = market(3)
    subject, merged = view(of, QUOTE_FIELDS), {}
    for step in range(200):
        if found := subject.poll(step * EVERY, 0):
            merged |= only(found)
    assert price_nanos(merged["84"]) == of.best_bid * 250_000_000
    assert price_nanos(merged["86"]) == of.best_ask * 250_000_000
    assert merged["88"] == str(of.size_at(of.best_bid))
    assert merged["85"] == str(-of.size_at(of.best_ask))


@given(st.lists(st.floats(0.01, 3.0), min_size=20, max_size=60))
def test_samples_keep_their_distance_however_often_somebody_looks(pauses: list[float]) -> None:
    count = iter(range(10_000))
    subject = QuoteView(
        1,
        lambda _: {"31": str(next(count))},
        server_id="q0",
        now=0.0,
        luck=Random(1),
        parameters=PLAIN,
    )
    now, points = 0.0, set()
    for pause in pauses:
        now += pause
        if subject.poll(now, 0):
            point = int(now / EVERY + 1e-9)
            assert point not in points
            points.add(point)


def test_a_value_that_vanishes_is_not_told_and_comes_back_when_it_changed() -> None:
    samples = iter([{"31": "1", "84": "2"}, {"84": "3"}, {"31": "1", "84": "3"}, {"31": "4"}])
    subject = QuoteView(
        1, lambda _: next(samples), server_id="q0", now=0.0, luck=Random(1), parameters=PLAIN
    )
    told = [
        {key: value for key, value in json.loads(frame).items() if key not in HEAD}
        for step in range(4)
        for frame in subject.poll(step * EVERY, 0)
    ]
    assert told == [{"31": "1", "84": "2"}, {"84": "3"}, {"31": "4"}]


@pytest.mark.parametrize("fields", [(), ("9999", "no such field"), ("31", "9999")])
def test_unknown_fields_are_left_out(fields: tuple[str, ...]) -> None:
    message = only(view(market(), fields).poll(0.0, 0))
    assert set(message) - HEAD == {"31"} & set(fields)


def test_the_end_is_a_lifetime_after_the_request() -> None:
    assert view(market(), ("31",)).ends == 900.0
    assert view(market(), ("31",), QuoteParameters(lifetime=5.0)).ends == 5.0
