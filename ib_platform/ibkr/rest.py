"""Small async client of ONE gateway's REST interface on 127.0.0.1: which calls there are.

Answers are read tolerantly: absent keys and keys of another type become None
(``ibkr_web_api.md`` section 2). ``rest_calls`` says how a call is made, and how it fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from ib_platform.ibkr.messages import SessionStatus, session_status
from ib_platform.ibkr.pacing import TICKLE, VALIDATE
from ib_platform.ibkr.rest_calls import GatewayCallError, GatewayCalls
from ib_platform.ibkr.session import Accounts, OneUser, SsoValidation
from ib_platform.marketdata.contract_details import ContractDetails, details_of
from ib_platform.marketdata.contracts import FutureMonth, decode_futures
from ib_platform.marketdata.schedule import TradingDay, decode_schedule
from ib_platform.marketdata.volumes import VOLUME_FIELDS, decode_volumes

__all__ = ["ContractInfo", "GatewayCallError", "GatewayClient", "Tickle"]


class Tickle(msgspec.Struct, frozen=True):
    """Answer of ``tickle``. ``session`` is the websocket's cookie: a secret, never logged."""

    session: str | None
    status: SessionStatus

    def __repr__(self) -> str:
        return f"Tickle(session=..., status={self.status})"


class ContractInfo(msgspec.Struct, frozen=True):
    """What we use of ``iserver/contract/{conid}/info``; None = not said."""

    exchange: str | None = None
    multiplier: float | None = None


class GatewayClient(GatewayCalls):
    """REST client; use as an async context manager. Every method raises GatewayCallError."""

    async def tickle(self) -> Tickle:
        """Keeps the session alive; also where the websocket's cookie comes from."""
        answer = await self._object("POST", TICKLE)
        session = answer.get("session")
        iserver = answer.get("iserver")
        status = iserver.get("authStatus") if isinstance(iserver, dict) else None
        return Tickle(session if isinstance(session, str) else None, session_status(status))

    async def auth_status(self) -> SessionStatus:
        return session_status(await self._object("POST", "/iserver/auth/status"))

    async def ssodh_init(self, *, compete: bool = False) -> SessionStatus:
        """Starts the brokerage session of a login. ``compete`` ends another session for it."""
        body = {"publish": True, "compete": compete}
        return session_status(await self._object("POST", "/iserver/auth/ssodh/init", json=body))

    async def reauthenticate(self) -> None:
        """Triggers another try for a brokerage session; its outcome shows in ``auth_status``."""
        await self._object("POST", "/iserver/reauthenticate")

    async def logout(self, *, urgent: bool = False) -> None:
        """``urgent``: it waits for no turn and no penalty, since it ends a login that must end."""
        if urgent:
            await self._exchange("POST", "/logout", urgent=True)
        else:
            await self._object("POST", "/logout")

    async def sso_validate(self) -> SsoValidation:
        """IBKR allows one call a minute: ask ``pace.due_in`` first, or this may wait so long."""
        answer = await self._object("GET", VALIDATE)
        login_type, result = answer.get("LOGIN_TYPE"), answer.get("RESULT")
        return SsoValidation(
            login_type=login_type if type(login_type) is int else None,
            result=result if isinstance(result, bool) else None,
        )

    async def one_user(self) -> OneUser:
        """A gateway that does not know this path (404) says nothing."""
        try:
            answer = await self._object("GET", "/one/user")
        except GatewayCallError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return OneUser()
        is_paper = answer.get("ispaper")
        return OneUser(is_paper if isinstance(is_paper, bool) else None)

    async def accounts(self) -> Accounts:
        answer = await self._object("GET", "/iserver/accounts")
        listed, is_paper = answer.get("accounts"), answer.get("isPaper")
        names = tuple(a for a in listed if isinstance(a, str)) if isinstance(listed, list) else ()
        return Accounts(names, is_paper if isinstance(is_paper, bool) else None)

    async def futures(self, symbols: Iterable[str]) -> dict[str, tuple[FutureMonth, ...]]:
        """All futures of the symbols that have not expired, by symbol."""
        query = {"symbols": ",".join(sorted(set(symbols)))}
        return await self._read("/trsrv/futures", query, decode_futures)

    async def contract_info(self, conid: int) -> ContractInfo:
        answer = await self._object("GET", f"/iserver/contract/{conid}/info")
        exchange = answer.get("exchange")
        return ContractInfo(
            exchange=exchange if isinstance(exchange, str) else None,
            multiplier=_number(answer.get("multiplier")),
        )

    async def contract_details(self, conid: int) -> ContractDetails:
        """Exchange, multiplier, tick and delivery month of a contract."""
        return details_of(await self._object("GET", f"/iserver/contract/{conid}/info-and-rules"))

    async def sessions(self, conid: int, exchange: str) -> tuple[TradingDay, ...]:
        """Trading hours of the coming days. GatewayCallError too when they cannot be read."""
        query = {"conid": str(conid), "exchange": exchange}
        return await self._read("/contract/trading-schedule", query, decode_schedule)

    async def volumes(self, conids: Iterable[int]) -> dict[int, int]:
        """Contracts traded, by conid, as far as they have arrived: ask again for the others.

        The session must have asked for its ``accounts`` before.
        """
        fields = ",".join(VOLUME_FIELDS)
        query = {"conids": ",".join(map(str, conids)), "fields": fields}
        return await self._read("/iserver/marketdata/snapshot", query, decode_volumes)


def _number(value: object) -> float | None:
    """A number or the text of one; None for anything else."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None
