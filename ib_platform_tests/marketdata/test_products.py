"""Which calendar a product follows, and that the ones which are simulated are known."""

from __future__ import annotations

import pytest

from ib_platform.config_sections import Contract
from ib_platform.marketdata.products import calendar_of
from ib_platform.marketdata.sessions import CalendarName


@pytest.mark.parametrize(
    ("symbol", "exchange", "calendar"),
    [
        ("CL", "NYMEX", CalendarName.CME_ENERGY_METALS),
        ("GC", "COMEX", CalendarName.CME_ENERGY_METALS),
        ("ES", "CME", CalendarName.CME_EQUITY),
        ("YM", "CBOT", CalendarName.CME_EQUITY),
        ("EUR", "CME", CalendarName.CME_FX),
        ("ZN", "CBOT", CalendarName.CME_RATES),
        ("ZC", "CBOT", CalendarName.CME_GRAINS),
        ("LE", "CME", CalendarName.CME_LIVESTOCK),
    ],
)
def test_a_product_has_its_calendar(symbol: str, exchange: str, calendar: CalendarName) -> None:
    assert calendar_of(symbol, exchange) is calendar
    assert Contract(symbol=symbol, exchange=exchange).calendar is calendar


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [("XYZ", "CME"), ("ES", "GLOBEX"), ("ES", "EUREX"), ("6E", "CME"), ("ZR", "CBOT")],
)
def test_an_unknown_product_needs_a_calendar(symbol: str, exchange: str) -> None:
    with pytest.raises(ValueError, match=f"{symbol} on {exchange} are not known.*calendar: "):
        Contract(symbol=symbol, exchange=exchange)
    named = Contract(symbol=symbol, exchange=exchange, calendar=CalendarName.CME_GLOBEX)
    assert named.calendar is CalendarName.CME_GLOBEX


def test_the_configuration_has_the_last_word() -> None:
    given = Contract(symbol="ES", exchange="CME", calendar=CalendarName.ALWAYS_OPEN)
    assert given.calendar is CalendarName.ALWAYS_OPEN
    unset = Contract.model_validate({"symbol": "ES", "exchange": "CME", "calendar": None})
    assert unset.calendar is CalendarName.CME_EQUITY
