"""Scenarios of websockets, HTTP and the gateway, from a client's side. A test is named after its
scenario."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from ib_platform_tests.simulator.client import TIMEOUT, Client, is_heartbeat, receive_until
from ib_platform_tests.simulator.drilled import drilled
from ib_platform_tests.simulator.sockets import (
    closed_with,
    ladder_frame,
    settled,
    subscribe,
    topics_of_beats,
)
from ib_platform_tests.simulator.test_scenarios_of_data_observed import begun, is_silent


async def status_of(client: Client, path: str = "/tickle") -> int:
    return (await client.call("GET", path))[0]


async def test_clock_skew(tmp_path: Path) -> None:
    async with drilled(tmp_path, "clock_skew") as drill:
        await drill.client.authenticate()
        socket = await drill.client.greeted()

        async def ahead() -> float:
            """Seconds that a heartbeat is ahead of the simulated clock."""
            await settled(socket)
            await receive_until(socket, is_heartbeat)
            beat = (await receive_until(socket, is_heartbeat))[-1]["hb"]
            return beat / 1000 - drill.clock.wall()

        assert abs(await ahead()) < 5
        await drill.at(60)
        assert 25 < await ahead() <= 30
        await drill.at(241)
        assert -10 < await ahead() <= -5
        await drill.at(365)
        assert abs(await ahead()) < 5


async def test_closed_while_sending(tmp_path: Path) -> None:
    async with drilled(tmp_path, "closed_while_sending") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await closed_with(socket) == 1001
        again = await drill.client.greeted()
        await subscribe(again, conid)
        assert await closed_with(again) == 1011
        await drill.at(95)
        last = await drill.client.greeted()
        await subscribe(last, conid)
        await ladder_frame(last, conid)


async def test_dead_websocket(tmp_path: Path) -> None:
    async with drilled(tmp_path, "dead_websocket") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        await settled(socket)
        for _ in range(3):
            drill.clock.jump(1)
            assert [message["topic"] for message in await settled(socket)] == ["tic"]
        await drill.at(125)
        await receive_until(socket, is_heartbeat)
        await ladder_frame(socket, conid)
        for instant, code in ((150, 1001), (180, 1006), (210, 1011)):
            await drill.at(instant)
            assert await closed_with(socket) == code
            socket = await drill.client.greeted()
            assert await is_silent(socket), "subscriptions are forgotten"


async def test_half_open(tmp_path: Path) -> None:
    patience = aiohttp.ClientWSTimeout(ws_close=0.1)
    async with drilled(tmp_path, "half_open") as drill:
        await drill.client.authenticate()
        old = await drill.client.connect(timeout=patience)
        await receive_until(old, is_heartbeat)
        await drill.at(60)
        meanwhile = await drill.client.connect(timeout=patience)
        for socket in (old, meanwhile):
            await socket.send_str("tic")
        assert await status_of(drill.client) == 200, "REST goes on"
        await drill.at(125)
        fresh = await drill.client.greeted()
        waiting = [asyncio.create_task(meanwhile.receive())]
        await topics_of_beats(fresh, 3)
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        assert not old.closed


async def test_gateway_crashes(tmp_path: Path) -> None:
    async with drilled(tmp_path, "gateway_crashes") as drill:
        first, second = drill.clients
        for begin, end in ((60, 81), (140, 231)):
            assert await status_of(first) == 200
            await drill.at(begin)
            with pytest.raises(aiohttp.ClientConnectionError):
                await status_of(first)
            assert await status_of(second) == 200, "others are not concerned"
            await drill.at(end)
        assert await status_of(first) == 200


async def test_gateway_hangs(tmp_path: Path) -> None:
    async with drilled(tmp_path, "gateway_hangs") as drill:
        assert await status_of(drill.client) == 200
        await drill.at(60)
        hanging = [asyncio.create_task(status_of(client)) for client in drill.clients]
        done, _ = await asyncio.wait(hanging, timeout=0.3)
        assert not done
        await drill.at(121)
        assert await asyncio.wait_for(asyncio.gather(*hanging), TIMEOUT) == [200, 200]


async def test_slow_servers(tmp_path: Path) -> None:
    async with drilled(tmp_path, "slow_servers") as drill:
        await drill.at(60)
        before = drill.clock.now()
        slow = asyncio.create_task(status_of(drill.client))
        done, _ = await asyncio.wait([slow], timeout=0.3)
        assert not done
        drill.clock.jump(4)
        assert await asyncio.wait_for(slow, TIMEOUT) == 200
        assert drill.clock.now() - before >= 4
        await drill.at(91)
        empty = asyncio.create_task(drill.client.call("POST", "/tickle", data=b""))
        await asyncio.wait([empty], timeout=0.1)
        drill.clock.jump(4)
        assert await asyncio.wait_for(empty, TIMEOUT) == (200, b"")


async def test_server_errors(tmp_path: Path) -> None:
    async with drilled(tmp_path, "server_errors") as drill:
        await drill.client.authenticate()
        seen = set()
        while seen != {200, 500, 503}:
            due = drill.timeline.next_due
            assert due is not None
            assert due < 3_600, f"an hour has brought {seen} only"
            await drill.at(due)
            seen.add(await status_of(drill.client, "/iserver/auth/status"))
            assert await status_of(drill.client, "/portfolio/accounts") == 200


async def test_sudden_maintenance(tmp_path: Path) -> None:
    async with drilled(tmp_path, "sudden_maintenance") as drill:
        socket, _ = await begun(drill, "CL")
        await drill.at(60)
        assert await closed_with(socket) == 1001
        away = asyncio.create_task(status_of(drill.client))
        done, _ = await asyncio.wait([away], timeout=0.3)
        assert not done
        drill.clock.jump(10)
        assert await asyncio.wait_for(away, TIMEOUT) == 503
        await drill.at(185)
        assert await status_of(drill.client) == 200


async def test_access_denied(tmp_path: Path) -> None:
    async with drilled(tmp_path, "access_denied") as drill:
        await drill.at(60)
        assert await drill.client.call("GET", "/tickle") == (403, b"Access Denied")
        await drill.at(121)
        assert await status_of(drill.client) == 200


async def test_penalty_box(tmp_path: Path) -> None:
    async with drilled(tmp_path, "penalty_box") as drill:
        await drill.at(60)
        for client in drill.clients:
            assert await status_of(client) == 429, "behind one address, both are punished"
        await drill.at(185)
        assert await status_of(drill.client) == 200
        await drill.at(241)
        answers = [await status_of(drill.client) for _ in range(20)]
        assert answers[0] == 200
        assert answers[-1] == 429


async def test_flaky_evening(tmp_path: Path) -> None:
    async with drilled(tmp_path, "flaky_evening") as drill:
        kinds = []
        drill.world.faults.listen(lambda fault, now: kinds.append(fault.kind))
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        while not socket.closed:
            due = drill.timeline.next_due
            assert due is not None
            await drill.at(due)
            if "websocket_closed" in kinds or "gateway_down" in kinds:
                await closed_with(socket)
        while (due := drill.timeline.next_due) is not None and due <= 3_600:
            await drill.at(due)
        assert {fault.fault for fault in drill.scenario.faults} == set(kinds)
