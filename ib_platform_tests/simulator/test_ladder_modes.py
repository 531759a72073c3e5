"""Several ladders on one session, as a client would probe it: what arrives, and what falls silent.

The probe is the one of the Web API page, section 3.5: one ladder, then a second, then as many as
come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ib_platform.simulator.behaviour import SeveralLaddersParameters
from ib_platform.simulator.faces import GatewayFace
from ib_platform.states import LadderMode
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    Client,
    SteppedClock,
    of_topic,
    receive_until,
    simulated,
)
from ib_platform_tests.simulator.sockets import (
    ACCOUNT,
    conid_of,
    data_of,
    ladder_frame,
    settled,
    streaming,
    subscribe,
    topics_of_beats,
)


@asynccontextmanager
async def ladders(
    folder: Path, *, slots: int = 3, clock: SteppedClock | None = None, **changes: Any
) -> AsyncIterator[tuple[Client, GatewayFace]]:
    """An authenticated simulator with these parameters of several ladders."""
    behaviour = replace(
        QUICK,
        ladders=SeveralLaddersParameters(**changes),
        session=replace(QUICK.session, idle_timeout=1e9),
    )
    async with simulated(folder, slots=slots, behaviour=behaviour, clock=clock) as (client, face):
        if clock is None:
            await client.authenticate()
        else:
            await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
            clock.advance(1)
        yield client, face


def topics(*conids: int) -> set[str]:
    return {f"sbd+{ACCOUNT}+{conid}" for conid in conids}


async def test_multiplex_shows_both(tmp_path: Path) -> None:
    async with ladders(tmp_path, mode=LadderMode.MULTIPLEX) as (client, face):
        socket, conids = await streaming(client, face, "CL", "ES")
        assert set(await topics_of_beats(socket, 3)) == topics(*conids)


async def test_replace_silences_the_first(tmp_path: Path) -> None:
    async with ladders(tmp_path, mode=LadderMode.REPLACE) as (client, face):
        socket, (_, second) = await streaming(client, face, "CL", "ES")
        await settled(socket)
        assert set(await topics_of_beats(socket, 3)) == topics(second)


async def test_replace_reaches_over_websockets(tmp_path: Path) -> None:
    async with ladders(tmp_path, mode=LadderMode.REPLACE) as (client, face):
        first, _ = await streaming(client, face, "CL")
        second, (conid,) = await streaming(client, face, "ES")
        await settled(first)
        assert await topics_of_beats(first, 3) == []
        await ladder_frame(second, conid)


async def test_first_wins_never_shows_a_second(tmp_path: Path) -> None:
    async with ladders(tmp_path, mode=LadderMode.FIRST_WINS) as (client, face):
        socket, (first,) = await streaming(client, face, "CL")
        second = conid_of(face, "ES")
        await subscribe(socket, second)
        assert set(await topics_of_beats(socket, 4)) == topics(first)
        await socket.send_str(f"ubd+{ACCOUNT}")
        await subscribe(socket, second)
        await ladder_frame(socket, second)


@pytest.mark.parametrize("mode", list(LadderMode))
async def test_asking_again_is_a_keyframe_in_every_mode(tmp_path: Path, mode: LadderMode) -> None:
    async with ladders(tmp_path, mode=mode) as (client, face):
        socket, (conid,) = await streaming(client, face, "CL")
        await subscribe(socket, conid)
        async with asyncio.timeout(TIMEOUT):
            while len(data_of(await ladder_frame(socket, conid))) < 21:
                pass


@pytest.mark.parametrize(("most", "slots"), [(1, 3), (2, 1), (None, 2)])
async def test_the_maximum(tmp_path: Path, most: int | None, slots: int) -> None:
    allowed = slots if most is None else most
    async with ladders(tmp_path, slots=slots, most=most) as (client, face):
        shown, beyond = ("CL", "ES")[:allowed], "GC"
        socket, conids = await streaming(client, face, *shown)
        await subscribe(socket, conid_of(face, beyond))
        assert set(await topics_of_beats(socket, 4)) == topics(*conids)


async def test_what_is_beyond_the_maximum_may_be_told(tmp_path: Path) -> None:
    async with ladders(tmp_path, most=1, notify_full=True) as (client, face):
        socket, _ = await streaming(client, face, "CL")
        gold = conid_of(face, "GC")
        await subscribe(socket, gold)
        message = (await receive_until(socket, of_topic("ntf")))[-1]
        assert str(gold) in message["args"]["text"]


async def test_ladders_of_two_websockets_count_together(tmp_path: Path) -> None:
    async with ladders(tmp_path, most=2) as (client, face):
        first, (oil,) = await streaming(client, face, "CL")
        second, (same,) = await streaming(client, face, "CL")
        assert oil == same
        await subscribe(second, conid_of(face, "GC"))
        assert set(await topics_of_beats(second, 4)) == topics(oil)
        await second.send_str(f"ubd+{ACCOUNT}")
        await settled(second)
        await settled(first)
        assert await topics_of_beats(first, 3) == [], "ubd is account-wide"


async def test_a_ladder_ends_after_its_lifetime_and_asking_again_renews_it(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with ladders(tmp_path, lifetime=540.0, clock=clock) as (client, face):
        socket, conid = await client.greeted(), conid_of(face, "CL")
        await subscribe(socket, conid)
        await settled(socket)
        clock.advance(500)
        await ladder_frame(socket, conid)
        await subscribe(socket, conid)
        await settled(socket)
        clock.advance(400)
        await ladder_frame(socket, conid)
        clock.advance(200)
        assert face.login is not None
        async with asyncio.timeout(TIMEOUT):
            while len(face.login.ladders):
                await client.json("GET", "/tickle")
        assert socket.closed is False


async def test_ladders_that_survive_a_lost_session(tmp_path: Path) -> None:
    async with ladders(tmp_path, survive_session=True) as (client, face):
        socket, (conid,) = await streaming(client, face, "CL")
        await client.json("POST", "/logout")
        await receive_until(socket, of_topic("sts"))
        assert await topics_of_beats(socket, 2) == []
        await client.authenticate()
        await receive_until(socket, of_topic("sts"))
        await ladder_frame(socket, conid)
