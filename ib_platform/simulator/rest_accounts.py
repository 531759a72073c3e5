"""Account and portfolio endpoints, and what orders are answered with.

``/iserver/accounts`` has to be called once in each brokerage session: before it, IBKR answers
snapshots and orders with 500 ``Please query /accounts first``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from aiohttp import web

from ib_platform.simulator import shapes, shapes_accounts
from ib_platform.simulator.asking import Refusal, body_of, required
from ib_platform.simulator.faces import Face
from ib_platform.simulator.guard import LOGIN, Handler, reply
from ib_platform.simulator.users import SimulatedUser

Routes = dict[tuple[str, str], Handler]
_PORTFOLIO = "/portfolio/{account}"
_ORDERS = "/iserver/account/{account}/order"


def require_accounts(request: web.Request) -> None:
    """Raises Refusal unless this brokerage session has called ``/iserver/accounts``."""
    login = request[LOGIN]
    if login.accounts_listed_in != login.sessions.brokerage_began(login.token):
        raise Refusal("Please query /accounts first", 500)


class AccountEndpoints:
    """Handlers of one face; the guard has checked login and brokerage session."""

    def __init__(self, face: Face) -> None:
        self._world = face.world

    def routes(self) -> Routes:
        """Handlers by method and path without prefix."""
        listings: Routes = {
            ("GET", "/iserver/accounts"): self.accounts,
            ("POST", "/iserver/account"): self.switch_account,
            ("GET", "/portfolio/accounts"): self.portfolio_accounts,
            ("GET", "/portfolio/subaccounts"): self.portfolio_accounts,
            ("GET", "/portfolio/subaccounts2"): self.subaccounts_page,
            ("GET", "/iserver/account/pnl/partitioned"): _of_user(
                shapes_accounts.partitioned_profit
            ),
            ("GET", "/iserver/account/{account}/summary"): _of_account(
                lambda _: shapes_accounts.account_summary()
            ),
        }
        return listings | self._portfolio() | self._orders()

    def _portfolio(self) -> Routes:
        world = self._world
        bodies: dict[str, Callable[[SimulatedUser], object]] = {
            "/meta": shapes_accounts.portfolio_account,
            "/summary": lambda user: shapes_accounts.summary(user, world.wall_ms()),
            "/ledger": lambda user: shapes_accounts.ledger(user, world.wall_ms()),
            "/allocation": lambda _: shapes_accounts.allocation(),
            "/positions/{page}": lambda _: [],
            "/position/{conid}": lambda _: [],
            "/combo/positions": lambda _: [],
        }
        routes: Routes = {
            ("GET", _PORTFOLIO + path): _of_account(body) for path, body in bodies.items()
        }
        return routes | {
            ("GET", "/portfolio2/{account}/positions"): _of_account(lambda _: []),
            ("GET", "/portfolio/positions/{conid}"): _of_user(lambda _: {}),
            ("POST", _PORTFOLIO + "/positions/invalidate"): _of_account(
                lambda _: {"message": "success"}
            ),
        }

    def _orders(self) -> Routes:
        """There are none, and none are taken: this product only watches."""
        return {
            ("GET", "/iserver/account/orders"): self.orders,
            ("GET", "/iserver/account/trades"): self.trades,
            ("GET", "/iserver/account/trades/"): self.trades,
            ("GET", "/iserver/account/order/status/{order}"): self.order_status,
            ("POST", _ORDERS + "s"): self.refuse_order,
            ("POST", _ORDERS + "s/whatif"): self.refuse_order,
            ("POST", _ORDERS + "/{order}"): self.refuse_order,
            ("DELETE", _ORDERS + "/{order}"): self.refuse_order,
            ("POST", "/iserver/reply/{reply}"): self.refuse_order,
            ("POST", "/iserver/questions/suppress"): _of_user(lambda _: {"status": "submitted"}),
            ("POST", "/iserver/questions/suppress/reset"): _of_user(
                lambda _: {"status": "submitted"}
            ),
        }

    async def accounts(self, request: web.Request) -> web.Response:
        login = request[LOGIN]
        login.accounts_listed_in = login.sessions.brokerage_began(login.token)
        return reply(shapes.brokerage_accounts(login.user, login.session_id))

    async def switch_account(self, request: web.Request) -> web.Response:
        account = required(await body_of(request), "acctId")
        if account != request[LOGIN].user.account:
            raise Refusal(f"Bad Request: unknown account {account[:20]}")
        return reply({"success": "Account already set"})

    async def portfolio_accounts(self, request: web.Request) -> web.Response:
        return reply([shapes_accounts.portfolio_account(request[LOGIN].user)])

    async def subaccounts_page(self, request: web.Request) -> web.Response:
        page = request.query.get("page", "0")
        if not (page.isascii() and page.isdigit() and len(page) <= 6):
            raise Refusal("Bad Request: page is not a number")
        return reply(shapes_accounts.subaccounts_page(request[LOGIN].user, int(page)))

    async def orders(self, request: web.Request) -> web.Response:
        require_accounts(request)
        return reply({"orders": [], "snapshot": True})

    async def trades(self, request: web.Request) -> web.Response:
        require_accounts(request)
        return reply([])

    async def order_status(self, request: web.Request) -> NoReturn:
        require_accounts(request)
        raise Refusal(f"OrderID {request.match_info['order'][:20]} doesn't exist", 404)

    async def refuse_order(self, _: web.Request) -> NoReturn:
        raise Refusal("The simulator takes no orders: ib_platform only records market data", 403)


def _of_user(body: Callable[[SimulatedUser], object]) -> Handler:
    """Answers with something about the user who asks."""

    async def handler(request: web.Request) -> web.Response:
        return reply(body(request[LOGIN].user))

    return handler


def _of_account(body: Callable[[SimulatedUser], object]) -> Handler:
    """The same for a path that names the account, which must be the user's."""

    async def handler(request: web.Request) -> web.Response:
        user, account = request[LOGIN].user, request.match_info["account"]
        if account != user.account:
            raise Refusal(f"Bad Request: unknown account {account[:20]}")
        return reply(body(user))

    return handler
