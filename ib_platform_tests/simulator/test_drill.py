"""Playing a scenario while it runs, and what faults do to its ports."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ib_platform.simulator.clock import ManualClock
from ib_platform.simulator.drill import (
    FaultWatch,
    GatewayPort,
    NotHereError,
    Player,
    begin,
    described,
    username_of,
)
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.listener import Listener
from ib_platform.simulator.scenario import Scenario, ScheduledFault
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import QUICK, TIMEOUT, USER
from ib_platform_tests.simulator.drilled import OTHER, USERNAMES, drilled

START = datetime(2026, 11, 19, 15, tzinfo=UTC)


def a_world(clock: ManualClock | None = None) -> World:
    users = [SimulatedUser.of(user) for user in (USER, OTHER)]
    return World(users, seed=7, behaviour=QUICK, clock=clock or ManualClock(START))


def scheduled(kind: str, **values: object) -> ScheduledFault:
    return ScheduledFault.model_validate({"fault": kind, "at": 0} | values)


def a_scenario(*faults: ScheduledFault) -> Scenario:
    return Scenario(name="mine", description="d", at_ibkr="a", faults=faults)


@pytest.mark.parametrize(
    ("values", "username"),
    [
        ({}, None),
        ({"paper_user": "beta"}, "paperb02"),
        ({"paper_user": "first"}, "papera01"),
        ({"username": "paperb02"}, "paperb02"),
    ],
)
def test_whom_a_fault_concerns(values: dict[str, object], username: str | None) -> None:
    assert username_of(a_world(), scheduled("half_open", **values), USERNAMES) == username


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"paper_user": "gamma"}, "paper_user", "known: alpha, beta"),
        ({"username": "nobody"}, "username", "known: papera01, paperb02"),
        ({"symbol": "XX"}, "symbol", "no symbol 'XX' here; known: CL"),
    ],
)
def test_what_is_not_here(values: dict[str, object], key: str, words: str) -> None:
    world = a_world()
    with pytest.raises(NotHereError, match=words) as refused:
        begin(world, scheduled("silent_ladder", **values), USERNAMES)
    assert refused.value.key == key
    assert world.faults.begun == 0


def test_a_fault_begins_with_everything_that_was_said() -> None:
    world = a_world()
    said = {"for": "30s", "symbol": "CL", "paper_user": "beta", "parameters": {"availability": "O"}}
    fault = begin(world, scheduled("no_data", **said), USERNAMES)
    assert (fault.username, fault.symbol, fault.until) == (
        "paperb02",
        "CL",
        world.clock.now() + 30,
    )
    assert described(fault) == "no_data of paperb02 for CL availability=O"


async def turn() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_faults_begin_when_their_time_comes() -> None:
    clock = ManualClock(START)
    world = a_world(clock)
    player = Player(world, USERNAMES)
    kinds: list[str] = []
    world.faults.listen(lambda fault, now: kinds.append(fault.kind.value))
    player.start(
        a_scenario(scheduled("unknown_topic", at=60, every=60), scheduled("echo_text", at=90))
    )
    await turn()
    for advance, expected in (
        (59, []),
        (1, ["unknown_topic"]),
        (40, ["unknown_topic", "echo_text"]),
    ):
        clock.advance(advance)
        await turn()
        assert kinds == expected
    assert player.playing == ("mine",)
    assert player.stop() == ("mine",)
    await turn()
    clock.advance(1000)
    await turn()
    assert len(kinds) == 2
    assert player.playing == ()
    assert player.stop() == ()


async def test_a_scenario_ends_with_its_last_fault() -> None:
    world = a_world()
    player = Player(world, USERNAMES)
    player.start(a_scenario(scheduled("silent_ladder")))
    await turn()
    assert player.playing == ()
    assert world.faults.begun == 1


async def test_begin_and_end_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(START)
    world = a_world(clock)
    watch = FaultWatch(world, [])
    with caplog.at_level(logging.WARNING, logger="ib_platform.simulator.drill"):
        begin(world, scheduled("silent_ladder", **{"for": 30, "symbol": "CL"}), USERNAMES)
        begin(world, scheduled("echo_text"), USERNAMES)
        stopped = begin(world, scheduled("half_open"), USERNAMES)
        await watch.look()
        clock.advance(31)
        world.faults.stop(stopped.number)
        await watch.look()
        await watch.look()
    assert [record.getMessage() for record in caplog.records] == [
        "fault 1 begins: silent_ladder for CL",
        "fault 2 begins: echo_text",
        "fault 3 begins: half_open",
        "fault 1 ends: silent_ladder for CL",
        "fault 3 ends: half_open",
    ]


async def answers(listener: Listener) -> bool:
    """Whether HTTP is served on its port."""
    url = f"http://127.0.0.1:{listener.port}/"
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 404
    except aiohttp.ClientConnectionError:
        return False


async def test_ports_are_away_while_their_gateway_is_down() -> None:
    world = a_world()
    first, second, upstream = (Listener(web.Application(), 0, purpose="a test") for _ in range(3))
    ports = [
        GatewayPort(first, "papera01"),
        GatewayPort(second, "paperb02"),
        GatewayPort(upstream, None),
    ]
    watch = FaultWatch(world, ports)

    async def up() -> list[bool]:
        await watch.look()
        return [await answers(port.listener) for port in ports]

    try:
        for port in ports:
            await port.listener.start()
        assert await up() == [True, True, True]
        begin(world, scheduled("gateway_down", paper_user="beta"), USERNAMES)
        assert await up() == [True, False, True]
        begin(world, scheduled("gateway_down"), USERNAMES)
        assert await up() == [False, False, False]
        world.faults.clear()
        assert await up() == [True, True, True]
    finally:
        for port in ports:
            await port.listener.close()


async def test_a_port_that_was_taken_meanwhile_is_waited_for() -> None:
    world = a_world()
    listener = Listener(web.Application(), 0, purpose="a test")
    watch = FaultWatch(world, [GatewayPort(listener, "papera01")])
    await listener.start()
    try:
        fault = begin(world, scheduled("gateway_down"), USERNAMES)
        await watch.look()
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", listener.port))
            squatter.listen()
            world.faults.stop(fault.number)
            await watch.look()
            assert not listener.is_up
        await watch.look()
        assert listener.is_up
        assert await answers(listener)
    finally:
        await listener.close()


async def test_a_client_sees_the_gateway_go_and_come_back(tmp_path: Path) -> None:
    async with drilled(tmp_path, "gateway_crashes") as drill:
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        running = asyncio.create_task(drill.watch.run())
        try:
            fault = begin(drill.world, scheduled("gateway_down"), USERNAMES)
            async with asyncio.timeout(TIMEOUT):
                while not socket.closed:
                    await socket.receive()
            with pytest.raises(aiohttp.ClientConnectionError):
                await drill.client.call("GET", "/tickle")
            drill.world.faults.stop(fault.number)
            async with asyncio.timeout(TIMEOUT):
                while True:
                    try:
                        assert (await drill.client.call("GET", "/tickle"))[0] == 200
                        break
                    except aiohttp.ClientConnectionError:
                        await asyncio.sleep(0.01)
        finally:
            running.cancel()


def test_a_line_for_people() -> None:
    fault = Fault(4, FaultKind.WEBSOCKET_CLOSED, "papera01", None, None, {"code": 1006})
    assert described(fault) == "websocket_closed of papera01 code=1006"
