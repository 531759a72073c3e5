"""Contract endpoints: listings, search and definitions, information and rules, trading hours.

Order matters as at IBKR: ``secdef/info`` is 404 until ``secdef/search`` has found the underlying.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from aiohttp import web

from ib_platform.simulator import shapes_contracts, shapes_schedule
from ib_platform.simulator.asking import Refusal, body_of, conid_of, conids_of, required, says
from ib_platform.simulator.catalogue import Product, SimulatedContract
from ib_platform.simulator.clock import utc
from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.guard import LOGIN, Handler, reply
from ib_platform.simulator.hours import TradingDay

_MOST_CONIDS = 200
_SCHEDULE_DAYS = 6
_LOOK_AHEAD = 30
"""Trade dates in which six with a session are looked for, and odd days of the weekly schedule."""


class ContractEndpoints:
    """Handlers of one face; the guard has checked login and brokerage session."""

    def __init__(self, face: Face) -> None:
        self._world = face.world

    def routes(self) -> dict[tuple[str, str], Handler]:
        """Handlers by method and path without prefix."""
        return {
            ("GET", "/trsrv/futures"): self.futures,
            ("GET", "/trsrv/stocks"): self.stocks,
            ("GET", "/trsrv/all-conids"): self.all_conids,
            ("GET", "/trsrv/secdef"): self.security_definitions,
            ("GET", "/trsrv/secdef/schedule"): self.weekly_schedule,
            ("GET", "/contract/trading-schedule"): self.trading_schedule,
            ("GET", "/iserver/secdef/search"): self.search,
            ("POST", "/iserver/secdef/search"): self.search,
            ("GET", "/iserver/secdef/info"): self.definitions,
            ("GET", r"/iserver/contract/{conid:[0-9]+}/info"): self.contract_info,
            ("GET", r"/iserver/contract/{conid:[0-9]+}/info-and-rules"): self.info_and_rules,
            ("POST", "/iserver/contract/rules"): self.rules,
        }

    async def futures(self, request: web.Request) -> web.Response:
        """Unknown symbols have no key in the answer."""
        wanted = request.query.get("symbols", "").split(",")
        months = {symbol: self._months(request, symbol) for symbol in wanted}
        return reply(
            {symbol: shapes_contracts.futures(found) for symbol, found in months.items() if found}
        )

    async def stocks(self, request: web.Request) -> web.Response:
        """No stocks are simulated: every symbol has an empty list."""
        wanted = request.query.get("symbols", "").split(",")
        return reply({symbol: [] for symbol in wanted if symbol})

    async def all_conids(self, request: web.Request) -> web.Response:
        exchange = required(request.query, "exchange").upper()
        products = [product for product in self._products() if product.exchange == exchange]
        return reply(
            [
                {
                    "ticker": product.symbol,
                    "conid": product.underlying_conid,
                    "exchange": product.exchange,
                }
                for product in products
            ]
        )

    async def security_definitions(self, request: web.Request) -> web.Response:
        """Unknown conids are left out."""
        conids = conids_of(request.query.get("conids", ""), _MOST_CONIDS).values()
        known = [contract for conid in conids if (contract := self._world.catalogue.get(conid))]
        return reply({"secdef": [shapes_contracts.security_definition(found) for found in known]})

    async def search(self, request: web.Request) -> web.Response:
        """By symbol, or with ``name`` by a part of the name. Futures are found as what underlies
        them (IND); nobody knows stocks or bonds here."""
        asked: Mapping[str, Any] = (
            request.query if request.method == "GET" else await body_of(request)
        )
        symbol = required(asked, "symbol").lower()
        kind = str(asked.get("secType") or shapes_contracts.FUTURE).upper()
        by_name = says(asked.get("name"))
        found = [
            product
            for product in self._products()
            if kind in ("IND", shapes_contracts.FUTURE)
            and (product.symbol.lower() == symbol or (by_name and symbol in product.name.lower()))
        ]
        if not found:
            raise Refusal("No symbol found", 404)
        request[LOGIN].searched.update(product.underlying_conid for product in found)
        return reply(
            [
                shapes_contracts.search_entry(product, self._months(request, product.symbol))
                for product in found
            ]
        )

    async def definitions(self, request: web.Request) -> web.Response:
        """``conid`` is the underlying's, as the search gave it."""
        query = request.query
        conid = conid_of(required(query, "conid"))
        kind = required(query, "secType", "sectype").upper()
        product = next((p for p in self._products() if p.underlying_conid == conid), None)
        if product is None or conid not in request[LOGIN].searched:
            raise Refusal("Resource not found: call /iserver/secdef/search first", 404)
        if kind != shapes_contracts.FUTURE:
            raise Refusal(f"No contracts retrieved for secType {kind[:10]}", 404)
        month = required(query, "month").upper()
        found = [
            contract
            for contract in self._months(request, product.symbol)
            if shapes_contracts.month_name(contract) == month
            and query.get("exchange", product.exchange) in (product.exchange, "")
        ]
        if not found:
            raise Refusal(f"No contracts retrieved for month {month[:10]}", 404)
        return reply([shapes_contracts.definition(contract) for contract in found])

    async def contract_info(self, request: web.Request) -> web.Response:
        return reply(shapes_contracts.contract_info(self._contract(request.match_info["conid"])))

    async def info_and_rules(self, request: web.Request) -> web.Response:
        contract = self._contract(request.match_info["conid"])
        rules = {"rules": shapes_contracts.contract_rules(contract)}
        return reply(shapes_contracts.contract_info(contract) | rules)

    async def rules(self, request: web.Request) -> web.Response:
        contract = self._contract(required(await body_of(request), "conid"))
        account = {"canTradeAcctIds": [request[LOGIN].user.account]}
        return reply(shapes_contracts.contract_rules(contract) | account)

    async def trading_schedule(self, request: web.Request) -> web.Response:
        contract = self._contract(required(request.query, "conid"))
        with_session = (day for day in self._days(request, contract.product) if day.extended)
        return reply(shapes_schedule.trading_schedule(islice(with_session, _SCHEDULE_DAYS)))

    async def weekly_schedule(self, request: web.Request) -> web.Response:
        """Another asset class or an unknown symbol has an empty list."""
        kind = required(request.query, "assetClass").upper()
        symbol = required(request.query, "symbol").upper()
        return reply(
            [
                shapes_schedule.weekly_schedule(
                    product, self._world.behaviour.hours, self._days(request, product)
                )
                for product in self._products()
                if kind == shapes_contracts.FUTURE and product.symbol == symbol
            ]
        )

    def _days(self, request: web.Request, product: Product) -> list[TradingDay]:
        """Trade dates from today's on; a holiday by fault has no session today."""
        now = utc(self._world.clock)
        today, *later = self._world.hours.trading_days(now, _LOOK_AHEAD)
        username = request[LOGIN].user.username
        if self._world.fault(FaultKind.HOLIDAY, username, product.symbol) is not None:
            today = TradingDay(today.date, None, None)
        return [today, *later]

    def _products(self) -> list[Product]:
        catalogue = self._world.catalogue
        return [
            months[0].product
            for symbol in catalogue.symbols
            if (months := catalogue.months_of(symbol))
        ]

    def _months(self, request: web.Request, symbol: str) -> tuple[SimulatedContract, ...]:
        """Listed months, nearest first, without a front month that a fault took away."""
        months = self._world.catalogue.months_of(symbol)
        username = request[LOGIN].user.username
        gone = self._world.fault(FaultKind.CONTRACT_GONE, username, symbol) is not None
        return months[1:] if gone else months

    def _contract(self, text: str) -> SimulatedContract:
        """Raises Refusal for an unknown one, however long the number."""
        contract = self._world.catalogue.get(conid_of(text)) if len(text) <= 40 else None
        if contract is None:
            raise Refusal(f"No contract found for conid {text[:20]}", 404)
        return contract
