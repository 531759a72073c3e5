"""What a recording asks over REST before it subscribes: proof of a paper login, and the facts of
the contracts, which a replay needs to list them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import ConfigurationError, GatewayError
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.ibkr.session import judge_status
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.contracts import ContractKey, choose_month
from ib_platform.recorder.client import RecordingClient
from ib_platform.recorder.masking import Masker
from ib_platform.recorder.secrets import Secret

logger = logging.getLogger(__name__)
_SESSION_WITHIN = 60.0
_ANY_EXCHANGE = "ANY"


@dataclass(frozen=True, slots=True)
class RecordedContract:
    """One contract of the recording. ``key`` as in the configuration: ``CL.NYMEX.front``."""

    key: str
    symbol: str
    conid: int


def wanted_keys(
    config: PlatformConfig, paper_user: str, symbols: tuple[str, ...]
) -> tuple[str, ...]:
    """Contract keys to record: all months of the configured contracts of these symbols, the front
    month of a symbol that is not configured. Without symbols: what this user may be assigned."""
    if not symbols:
        mine = [c for c in config.contracts if c.paper_user in (None, paper_user)]
        if not mine:
            raise ConfigurationError(
                f"no contract of the configuration is for paper user {paper_user}; name what to "
                "record with --symbols"
            )
        return tuple(key for contract in mine for key in contract.keys)
    keys: list[str] = []
    for symbol in symbols:
        configured = [key for c in config.contracts if c.symbol == symbol for key in c.keys]
        keys += configured or [f"{symbol}.{_ANY_EXCHANGE}.front"]
    return tuple(dict.fromkeys(keys))


async def prove_paper(client: RecordingClient, user: PaperUser, masker: Masker, poll: float) -> str:
    """Make sure of a paper login with a brokerage session; the websocket's session id. What is
    not known yet is asked for again every ``poll`` seconds.

    Raises:
        LiveAccountError: the login is not provably paper.
        GatewayError: nobody is logged in, or the session cannot be had.
    """
    session = (await client.tickle()).session
    if session is None:
        raise GatewayError("gateway: tickle names no session. Log in at the gateway first.")
    masker.learn(Secret.TOKEN, session)
    proof = PaperProof(user.account, user.name)
    await _until(lambda: proof.login_is_paper(client, time.monotonic()), poll)
    await _brokerage_session(client, poll)
    await _until(lambda: proof.is_proven(client, time.monotonic()), poll)
    return session


async def _until(proven: Callable[[], Awaitable[bool]], poll: float) -> None:
    while not await proven():  # noqa: ASYNC110
        await asyncio.sleep(poll)


async def _brokerage_session(client: RecordingClient, poll: float) -> None:
    """Have one, without taking it from anybody."""
    status = await client.auth_status()
    if not status.usable and not status.competing:
        logger.info("no brokerage session yet: ssodh/init")
        status = await client.ssodh_init(compete=False)
    deadline = time.monotonic() + _SESSION_WITHIN
    while not status.usable:
        _refuse_competing(status)
        if time.monotonic() > deadline:
            reason = judge_status(status).reason
            raise GatewayError(f"gateway: no brokerage session ({reason}). Log in again.")
        await asyncio.sleep(poll)
        status = await client.auth_status()


def _refuse_competing(status: SessionStatus) -> None:
    if status.competing:
        raise GatewayError(
            "gateway: another login of this user holds the brokerage session, and a recording "
            "does not take it away. End the other login, or let the gateway's owner take over."
        )


async def ask_facts(
    client: RecordingClient, keys: tuple[str, ...], fields: tuple[str, ...], poll: float
) -> tuple[RecordedContract, ...]:
    """Which contracts the keys mean today, and everything about them that a replay needs. The
    snapshot is asked for twice, ``poll`` seconds apart: the first call only opens it.

    Raises:
        ConfigurationError: no such contract.
        GatewayCallError: the list of futures cannot be had. Further facts may stay unknown.
    """
    wanted = [ContractKey.parse(key) for key in keys]
    futures = await client.futures([key.symbol for key in wanted])
    today = trade_date_of(datetime.now(UTC))
    contracts = tuple(
        RecordedContract(name, key.symbol, choose_month(key, futures, today).conid)
        for name, key in zip(keys, wanted, strict=True)
    )
    conids = tuple(dict.fromkeys(contract.conid for contract in contracts))
    for conid in conids:
        await _try(client.contract_info(conid))
        await _try(client.contract_rules(conid))
        await _try(client.trading_schedule(conid))
    await _try(client.snapshot(conids, fields))
    await asyncio.sleep(poll)
    await _try(client.snapshot(conids, fields))
    return contracts


async def _try(question: Awaitable[object]) -> None:
    """A refused question is an answer too, and written down."""
    try:
        await question
    except GatewayCallError as error:
        logger.warning("%s", error)
