"""From a product and a month word to a contract."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.contracts import (
    ContractKey,
    FutureMonth,
    choose_month,
    decode_futures,
    delivery_note,
    require_exchange,
)

ROWS = {
    "ES": [
        {"symbol": "ES", "conid": 3, "expirationDate": 20270319, "ltd": 20270318},
        {"symbol": "ES", "conid": 1, "expirationDate": 20261218, "ltd": 20261217},
        {"symbol": "ES", "conid": 4, "expirationDate": "20270618"},
    ],
    "NQ": [],
}
FUTURES = decode_futures(json.dumps(ROWS).encode())


def _chosen(month: str, today: date) -> int:
    return choose_month(ContractKey("ES", "CME", month), FUTURES, today).conid


def test_rows_come_sorted_by_expiration() -> None:
    assert [m.conid for m in FUTURES["ES"]] == [1, 3, 4]
    assert FUTURES["ES"][0] == FutureMonth("ES", 1, date(2026, 12, 18), date(2026, 12, 17))
    assert FUTURES["ES"][2].last_trade is None
    assert FUTURES["NQ"] == ()


@pytest.mark.parametrize(
    ("month", "today", "conid"),
    [
        ("front", date(2026, 11, 22), 1),
        ("front", date(2026, 12, 17), 1),
        ("front", date(2026, 12, 18), 3),
        ("next", date(2026, 11, 22), 3),
        ("next", date(2026, 12, 18), 4),
        ("2027-03", date(2026, 11, 22), 3),
        ("2027-06", date(2027, 6, 18), 4),
    ],
)
def test_months(month: str, today: date, conid: int) -> None:
    assert _chosen(month, today) == conid


@pytest.mark.parametrize(
    ("month", "today"),
    [("next", date(2027, 6, 1)), ("2026-11", date(2026, 11, 22)), ("2026-12", date(2026, 12, 18))],
)
def test_a_month_that_is_not_there_names_what_is(month: str, today: date) -> None:
    with pytest.raises(ConfigurationError, match=r"available: .*2027-06 \(expires 2027-06-18\)"):
        _chosen(month, today)


@pytest.mark.parametrize("symbol", ["NQ", "XX"])
def test_an_unknown_symbol_names_the_known_ones(symbol: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{symbol}\.CME\.front.*answer: ES\."):
        choose_month(ContractKey(symbol, "CME", "front"), FUTURES, date(2026, 11, 22))


def test_everything_expired() -> None:
    with pytest.raises(ConfigurationError, match="still trades on 2030-01-01"):
        _chosen("front", date(2030, 1, 1))


def test_unreadable_rows_are_left_out() -> None:
    rows = {"CL": [{"conid": "x"}, 5, {"conid": 2, "expirationDate": 99999999}, None]}
    assert decode_futures(json.dumps(rows).encode()) == {"CL": ()}


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"error":"x"}', b"\xff", b'{"CL":5}'])
def test_an_answer_of_another_shape(payload: bytes) -> None:
    with pytest.raises(ValueError, match="trsrv/futures"):
        decode_futures(payload)


def test_keys() -> None:
    assert ContractKey.parse("CL.NYMEX.front") == ContractKey("CL", "NYMEX", "front")
    for key in ("CL.NYMEX", "CL..front", "", "a.b.c.d"):
        with pytest.raises(ConfigurationError, match="contract key"):
            ContractKey.parse(key)


@given(st.lists(st.dates(date(2026, 1, 1), date(2030, 1, 1)), min_size=1, unique=True))
def test_front_is_the_nearest_that_still_trades(days: list[date]) -> None:
    rows = {"X": [{"conid": n, "expirationDate": int(f"{d:%Y%m%d}")} for n, d in enumerate(days)]}
    futures = decode_futures(json.dumps(rows).encode())
    today = min(days)
    front = choose_month(ContractKey("X", "E", "front"), futures, today)
    assert front.expiration == today
    later = [d for d in days if d > today]
    if later:
        assert choose_month(ContractKey("X", "E", "next"), futures, today).expiration == min(later)


CRUDE = decode_futures(
    json.dumps(
        {
            "CL": [
                {"conid": 11, "expirationDate": 20261120, "ltd": 20261120},
                {"conid": 12, "expirationDate": 20261218, "ltd": 20261218},
                {"conid": 14, "expirationDate": 20270222, "ltd": 20270222},
            ]
        }
    ).encode()
)
BEFORE, AFTER = date(2026, 11, 18), date(2026, 11, 23)


def _problem(month: str, today: date, front_from: date | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        choose_month(ContractKey("CL", "NYMEX", month), CRUDE, today, front_from)
    return str(caught.value)


def test_a_month_in_the_past_is_called_so() -> None:
    problem = _problem("2026-11", AFTER)
    assert "lies in the past: on 2026-11-23" in problem
    assert "available: 2026-12 (expires 2026-12-18), 2027-02 (expires 2027-02-22)" in problem
    assert "delivery" not in problem


def test_a_month_that_can_only_be_a_delivery_month_is_explained() -> None:
    problem = _problem("2027-03", BEFORE)
    assert "no such month on 2026-11-18" in problem
    assert (
        "2027-03 means the month of expiration; the 2027-03 delivery may be the one that expires "
        "2027-02-22: then write 2027-02." in problem
    )
    assert "2027-01 means the month of expiration" in _problem("2027-01", BEFORE)
    assert "delivery" not in _problem("2027-05", BEFORE)


def test_no_month_is_left_for_the_roll_rule() -> None:
    problem = _problem("front", BEFORE, date(2027, 3, 1))
    assert "trades until 2027-03-01, as the roll rule asks; available: 2026-11" in problem


def test_a_delivery_month_that_was_meant_is_named() -> None:
    november, december, _ = CRUDE["CL"]
    key = ContractKey("CL", "NYMEX", "2026-12")
    note = delivery_note(key, december, "2027-01", CRUDE["CL"])
    assert note == (
        "contract CL.NYMEX.2026-12: 2026-12 means the month of expiration; this one expires "
        "2026-12-18 and is the 2027-01 delivery; the 2026-12 delivery expires 2026-11-20: write "
        "2026-11 for it"
    )
    later = delivery_note(key, december, "2027-01", CRUDE["CL"][1:])
    assert later is not None
    assert "the 2026-12 delivery is not listed any more" in later
    assert delivery_note(key, december, "2026-12", CRUDE["CL"]) is None
    assert delivery_note(key, december, None, CRUDE["CL"]) is None
    front = ContractKey("CL", "NYMEX", "front")
    assert delivery_note(front, november, "2026-12", CRUDE["CL"]) is None


def test_another_exchange_is_refused_with_both_names() -> None:
    key = ContractKey("CL", "CME", "front")
    with pytest.raises(ConfigurationError, match=r"exchange NYMEX, the configuration says CME"):
        require_exchange(key, 11, "NYMEX")
    require_exchange(key, 11, "CME")
    require_exchange(key, 11, None)
