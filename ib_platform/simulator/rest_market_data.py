"""Market data over REST: snapshots with their pre-flight, history, and what ends them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from random import Random

from aiohttp import web

from ib_platform.simulator import shapes_history
from ib_platform.simulator.asking import Refusal, body_of, conid_of, conids_of, required, says
from ib_platform.simulator.clock import utc
from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.guard import LOGIN, Handler, reply
from ib_platform.simulator.history import BadRangeError, start_time
from ib_platform.simulator.login import Login
from ib_platform.simulator.quote_fields import (
    AVAILABILITY,
    DESCRIPTIVE,
    MARKER,
    field_values,
)
from ib_platform.simulator.rest_accounts import require_accounts
from ib_platform.simulator.shapes import Json

_DEFAULT_PERIOD = "1w"


class MarketDataEndpoints:
    """Handlers of one face; the guard has checked login and brokerage session."""

    def __init__(self, face: Face) -> None:
        self._world = face.world
        behaviour = face.world.behaviour
        self._snapshots = behaviour.snapshots
        self._parameters = behaviour.history
        self._luck = Random(f"history/{face.world.seed}")
        self._running: Counter[str] = Counter()

    def routes(self) -> dict[tuple[str, str], Handler]:
        """Handlers by method and path without prefix."""
        return {
            ("GET", "/iserver/marketdata/snapshot"): self.snapshot,
            ("GET", "/iserver/marketdata/history"): self.history,
            ("POST", "/iserver/marketdata/unsubscribe"): self.unsubscribe,
            ("GET", "/iserver/marketdata/unsubscribeall"): self.unsubscribe_all,
            ("GET", "/iserver/marketdata/{conid}/unsubscribe"): self.unsubscribe_by_path,
        }

    async def snapshot(self, request: web.Request) -> web.Response:
        require_accounts(request)
        conids = conids_of(request.query.get("conids", ""), self._snapshots.most_conids)
        fields = [field.strip() for field in request.query.get("fields", "").split(",")]
        if len(fields) > self._snapshots.most_fields:
            most = self._snapshots.most_fields
            raise Refusal(f"Bad Request: {len(fields)} fields, at most {most} are allowed")
        login = request[LOGIN]
        return reply([self._entry(login, word, conid, fields) for word, conid in conids.items()])

    def _entry(self, login: Login, word: str, conid: int, fields: Iterable[str]) -> Json:
        """Only the conid on the pre-flight call, and for ever for an unknown one."""
        world, username = self._world, login.user.username
        entry: Json = {"conid": conid, "conidEx": word}
        market = world.market(conid)
        if market is None:
            return entry
        if (
            self._snapshots.needs_search
            and market.contract.product.underlying_conid not in login.searched
        ):
            return entry
        now = world.clock.now()
        visible = login.snapshots.visible(conid, fields, now, self._snapshots.fill_delay)
        if visible is None:
            return entry
        if world.is_replayed(username, conid):
            # The recording has no snapshots, and the synthetic market would contradict it.
            visible = [field for field in visible if field in DESCRIPTIVE]
        phase = world.phase_of(conid, username)
        if phase.moves:
            market.advance(now)
        availability = self._availability(login, conid)
        server = {"server_id": "q0", "_updated": world.wall_ms(), MARKER: "q0"}
        values = field_values(market, visible, availability, phase)
        return entry | server | {AVAILABILITY: availability} | values

    def _availability(self, login: Login, conid: int) -> str:
        world, user = self._world, login.user
        fault = world.fault(FaultKind.NO_DATA, user.username, world.symbol_of(conid))
        return user.availability if fault is None else str(fault["availability"])

    async def history(self, request: web.Request) -> web.Response:
        username = request[LOGIN].user.username
        if self._running[username] >= self._parameters.most_concurrent:
            raise Refusal("Too many requests", 429)
        self._running[username] += 1
        try:
            return await self._bars(request)
        finally:
            self._running[username] -= 1

    async def _bars(self, request: web.Request) -> web.Response:
        query, world = request.query, self._world
        conid = conid_of(required(query, "conid"))
        contract = world.catalogue.get(conid)
        if contract is None:
            raise Refusal(f"No contract found for conid {conid}", 500)
        now = utc(world.clock)
        period = query.get("period") or _DEFAULT_PERIOD
        outside_rth = says(query.get("outsideRth"))
        try:
            until = min(start_time(text), now) if (text := query.get("startTime")) else now
            # A thousand bars take a tenth of a second: frames must not wait for them.
            bars = await asyncio.to_thread(
                world.history.bars,
                contract,
                until=until,
                period=period,
                bar=required(query, "bar"),
                outside_rth=outside_rth,
            )
        except BadRangeError as error:
            raise Refusal(f"Bad Request: {error}", 500) from error
        delay = self._luck.uniform(*self._parameters.answer_delay)
        await world.clock.sleep(delay)
        if not bars:
            raise Refusal("Chart data unavailable", 500)
        body = shapes_history.history(
            contract, bars, period=period, bar=query["bar"], outside_rth=outside_rth
        )
        return reply(body | {"travelTime": round(delay * 1000)})

    async def unsubscribe(self, request: web.Request) -> web.Response:
        conid = conid_of(required(await body_of(request), "conid"))
        return self._close(request[LOGIN], conid, {"success": True})

    async def unsubscribe_by_path(self, request: web.Request) -> web.Response:
        """The older form."""
        conid = conid_of(request.match_info["conid"])
        return self._close(request[LOGIN], conid, {"confirmed": True})

    def _close(self, login: Login, conid: int, answer: Json) -> web.Response:
        if not login.snapshots.close(conid):
            return reply({"error": "unknown"}, 500)
        return reply(answer)

    async def unsubscribe_all(self, request: web.Request) -> web.Response:
        """Ends leftovers of earlier processes: the next snapshot is a pre-flight again. The quotes
        of a websocket ended with it."""
        request[LOGIN].snapshots.close_all()
        return reply({"unsubscribed": True})
