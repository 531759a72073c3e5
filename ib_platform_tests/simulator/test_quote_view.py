"""Quote frames: all fields first, then changed ones only."""

from __future__ import annotations

import json
from datetime import date

import pytest

from ib_platform.marketdata.prices import price_nanos
from ib_platform.marketdata.quotes import QUOTE_FIELDS, Quote, decode_quote
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.market import Market
from ib_platform.simulator.quote_view import FIELDS, SAMPLED_EVERY, QuoteView

CONTRACT = Catalogue.on(date(2026, 11, 22)).months_of("ES")[0]
HEAD = {"topic", "conid", "conidEx", "server_id", "6119", "_updated"}


def market(seed: int = 1) -> Market:
    return Market(CONTRACT, seed=seed, start=0.0)


def test_the_first_frame_has_all_fields() -> None:
    payload = QuoteView(market(), QUOTE_FIELDS).poll(0.0, 1_763_026_200_875)
    assert payload is not None
    message = json.loads(payload)
    assert message["topic"] == f"smd+{CONTRACT.conid}"
    assert message["conid"] == CONTRACT.conid
    assert message["conidEx"] == str(CONTRACT.conid)
    assert set(message) - HEAD == set(QUOTE_FIELDS)
    quote = decode_quote(payload)
    assert isinstance(quote, Quote)
    assert quote.updated_ms == 1_763_026_200_875
    assert quote.availability == "RB"
    assert quote.bid is not None
    assert quote.ask is not None
    assert quote.bid < quote.ask


def test_later_frames_have_changed_fields_only() -> None:
    subject, sent, frames = QuoteView(market(), tuple(FIELDS)), {}, 0
    for step in range(400):
        if (payload := subject.poll(step * SAMPLED_EVERY, step)) is None:
            continue
        fields = {k: v for k, v in json.loads(payload).items() if k not in HEAD}
        assert all(sent.get(key) != value for key, value in fields.items())
        sent |= fields
        frames += 1
    assert 100 < frames <= 400
    assert sent["55"] == "ES"


def test_the_merged_quote_is_the_market() -> None:
    of = market(3)
    subject, merged = QuoteView(of, QUOTE_FIELDS), {}
    for step in range(200):
        if payload := subject.poll(step * SAMPLED_EVERY, 0):
            merged |= json.loads(payload)
    assert price_nanos(merged["84"]) == of.best_bid * 250_000_000
    assert price_nanos(merged["86"]) == of.best_ask * 250_000_000
    assert merged["88"] == str(of.size_at(of.best_bid))
    assert merged["85"] == str(-of.size_at(of.best_ask))
    assert merged["7762"] == str(of.volume)


def test_samples_are_half_a_second_apart() -> None:
    subject = QuoteView(market(), QUOTE_FIELDS)
    times = [step * 0.1 for step in range(600) if subject.poll(step * 0.1, 0) is not None]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert min(gaps) >= SAMPLED_EVERY - 0.001


@pytest.mark.parametrize("fields", [(), ("9999", "no such field"), ("31", "31", "9999")])
def test_unknown_fields_are_left_out(fields: tuple[str, ...]) -> None:
    payload = QuoteView(market(), fields).poll(0.0, 0)
    assert payload is not None
    assert set(json.loads(payload)) - HEAD == {"31"} & set(fields)
