"""Continuous series: which contract a product means on each trade date, by the table ``rolls``."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.research.contracts import NamedContract, Resolution
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.spans import to_ns

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_ROLLS = "SELECT product, to_conid, roll_date FROM current_rolls ORDER BY product, roll_date"
_RESOLVED = (
    "SELECT DISTINCT concat(symbol, '.', exchange) AS product FROM contracts ORDER BY product"
)


def find_product(client: Client, product: str) -> NamedContract:
    """The contracts of the continuous series of ``product``, like ``CL.NYMEX``, each from the start
    of its roll date on.

    Raises:
        SelectionError: no series of that product; the message says which there are.
    """
    series: dict[str, list[Resolution]] = {}
    for name, conid, roll_date in client.query(_ROLLS).result_rows:
        begin = to_ns(trade_date_span(date_of(roll_date))[0])
        series.setdefault(name, []).append(Resolution(int(conid), begin))
    if product in series:
        return NamedContract(product, None, tuple(series[product]))
    recorded = [str(row[0]) for row in client.query(_RESOLVED).result_rows]
    raise SelectionError(_unknown(product, list(series), recorded))


def _unknown(product: str, series: list[str], recorded: list[str]) -> str:
    if product in recorded:
        return (
            f"the rolls of {product} are not planned yet: `ib-platform rolls --write` does, and so "
            "does the asset `rolls` after each closed trade date"
        )
    by_letters = {name.upper(): name for name in (*recorded, *series)}
    by_letters |= {name.split(".")[0]: known for name, known in by_letters.items()}
    close = get_close_matches(product.upper(), by_letters, n=1)
    meant = f" Did you mean {by_letters[close[0]]}?" if close else ""
    known = ", ".join(series) or "none yet"
    return f"no continuous series {product!r}.{meant} Products with one: {known}"
