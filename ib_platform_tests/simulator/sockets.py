"""What tests of the websocket share: ladders and quotes of a client, faults, what arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform_tests.simulator.client import (
    TIMEOUT,
    Client,
    is_heartbeat,
    of_topic,
    receive,
    receive_until,
)

Socket = aiohttp.ClientWebSocketResponse[bool]
ACCOUNT = "DU1000001"


def conid_of(face: GatewayFace, symbol: str) -> int:
    return face.world.catalogue.months_of(symbol)[0].conid


def inject(
    face: GatewayFace,
    kind: FaultKind,
    *,
    symbol: str | None = None,
    username: str | None = None,
    **parameters: Any,
) -> Fault:
    """Begin a fault now."""
    world = face.world
    return world.faults.begin(
        kind, world.clock.now(), symbol=symbol, username=username, parameters=parameters
    )


async def subscribe(socket: Socket, conid: int) -> None:
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")


async def ladder_frame(socket: Socket, conid: int) -> bytes:
    """Payload of the next frame of one ladder."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            payload = await receive(socket)
            if payload.startswith(f'{{"topic":"sbd+{ACCOUNT}+{conid}"'.encode()):
                return payload


async def streaming(client: Client, face: GatewayFace, *symbols: str) -> tuple[Socket, list[int]]:
    """A greeted websocket on which all these ladders have begun."""
    socket = await client.greeted()
    conids = [conid_of(face, symbol) for symbol in symbols]
    for conid in conids:
        await subscribe(socket, conid)
        await ladder_frame(socket, conid)
    return socket, conids


async def topics_of_beats(socket: Socket, beats: int) -> list[str]:
    """Topics of everything that arrives during some heartbeats."""
    topics: list[str] = []
    for _ in range(beats):
        messages = await receive_until(socket, is_heartbeat)
        topics += [message["topic"] for message in messages if not is_heartbeat(message)]
    return topics


async def settled(socket: Socket) -> list[dict[str, Any]]:
    """Everything that arrives until a question that was asked now has been answered."""
    await socket.send_str("tic")
    return await receive_until(socket, of_topic("tic"))


async def closed_with(socket: Socket) -> int | None:
    """The close code that the client sees, after whatever else arrives."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            message = await socket.receive()
            if message.type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
                aiohttp.WSMsgType.ERROR,
            ):
                return socket.close_code


async def frames_until(socket: Socket, wanted: Callable[[Any], bool]) -> list[Any]:
    """Raw messages of any type up to and including the first wanted one."""
    messages: list[Any] = []
    async with asyncio.timeout(TIMEOUT):
        while not messages or not wanted(messages[-1]):
            messages.append(await socket.receive())
    return messages


async def crossed_after(socket: Socket, conid: int, frames: int) -> bool:
    """Whether the book is crossed after each of some frames that begin with a full one."""
    book = LadderBook()
    states: list[bool] = []
    await subscribe(socket, conid)
    while len(states) < frames:
        rows = decode_ladder(await ladder_frame(socket, conid))
        assert isinstance(rows, LadderRows), rows
        if isinstance(book.apply(rows), LadderUpdate):
            states.append(book.touch().crossed)
    return all(states)


def data_of(payload: bytes) -> list[dict[str, Any]]:
    """Rows of a ladder frame."""
    rows: list[dict[str, Any]] = json.loads(payload)["data"]
    return rows
