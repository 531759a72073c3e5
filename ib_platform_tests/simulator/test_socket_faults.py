"""Every fault of the websocket, as its client sees it over real TLS."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.marketdata.frames import classify
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault, Faults
from ib_platform.simulator.ladder_view import LadderParameters
from ib_platform.simulator.socket_faults import (
    OpenConnections,
    frames_of,
    is_sendable,
    truncated,
)
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    Client,
    is_heartbeat,
    of_topic,
    receive,
    receive_until,
    simulated,
    slots_free,
)
from ib_platform_tests.simulator.sockets import (
    ACCOUNT,
    Socket,
    closed_with,
    conid_of,
    crossed_after,
    data_of,
    frames_until,
    inject,
    ladder_frame,
    settled,
    streaming,
    subscribe,
    topics_of_beats,
)

Pair = tuple[Client, GatewayFace]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """An authenticated simulator with three slots."""
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        yield client, face


def stop(face: GatewayFace, fault: Fault) -> None:
    assert face.world.faults.stop(fault.number)


async def nothing_arrives(socket: Socket, while_doing: Any) -> None:
    """Not one frame, while as much happens elsewhere."""
    waiting = asyncio.create_task(socket.receive())
    await while_doing
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def quiet_for(socket: Socket, seconds: float) -> bool:
    """Whether nothing came for so long; what came is passed over."""
    try:
        await socket.receive(timeout=seconds)
    except TimeoutError:
        return True
    return False


# How a connection ends.


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
async def test_closed_with_a_code(pair: Pair, code: int) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    inject(face, FaultKind.WEBSOCKET_CLOSED, code=code)
    assert await closed_with(socket) == code
    await slots_free(client, face)
    await streaming(client, face, "CL")


async def test_code_1006_is_a_connection_that_is_cut(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    inject(face, FaultKind.WEBSOCKET_CLOSED, code=1006)
    assert await closed_with(socket) == 1006
    await slots_free(client, face)


async def test_only_the_websockets_of_the_user_are_closed(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    inject(face, FaultKind.WEBSOCKET_CLOSED, username="somebody")
    await settled(socket)
    inject(face, FaultKind.WEBSOCKET_CLOSED, username="papera01")
    assert await closed_with(socket) == 1001


async def test_a_websocket_that_was_never_greeted_is_closed_too(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, face):
        socket = await client.connect()
        await receive(socket)
        inject(face, FaultKind.WEBSOCKET_CLOSED)
        assert await closed_with(socket) == 1001


async def test_closed_at_the_moment_the_client_speaks(pair: Pair) -> None:
    client, face = pair
    socket, (conid,) = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.CLOSED_DURING_SEND)
    await ladder_frame(socket, conid)
    await subscribe(socket, conid_of(face, "ES"))
    assert await closed_with(socket) == 1011
    stop(face, fault)
    await slots_free(client, face)
    await settled(await client.greeted())


async def test_half_open_neither_speaks_nor_listens(pair: Pair) -> None:
    client, face = pair
    socket, conid, received = await client.connect(), conid_of(face, "CL"), 0
    for received in range(1, 11):
        await receive(socket)
        if received == 3:
            await subscribe(socket, conid)
    stop(face, inject(face, FaultKind.HALF_OPEN))
    for _ in range(face.world.sent("papera01").frames - received):
        await receive(socket)
    await socket.send_str("tic")
    await socket.ping()
    other = await client.greeted()
    await nothing_arrives(socket, topics_of_beats(other, 3))
    assert not socket.closed
    assert face.login is not None
    assert len(face.login.ladders) == 1, "its slot is taken as long as TCP lives"


async def test_half_open_catches_websockets_that_open_meanwhile(pair: Pair) -> None:
    client, face = pair
    fault = inject(face, FaultKind.HALF_OPEN)
    dead = await client.connect()
    stop(face, fault)
    other = await client.greeted()
    await nothing_arrives(dead, topics_of_beats(other, 3))


async def test_half_open_ends_with_the_tcp_connection(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    stop(face, inject(face, FaultKind.HALF_OPEN))
    transport: Any = socket._response.connection.transport  # type: ignore[union-attr]
    transport.abort()
    await slots_free(client, face)


async def test_half_open_does_not_answer_a_goodbye(pair: Pair) -> None:
    client, face = pair
    socket = await client.connect(timeout=aiohttp.ClientWSTimeout(ws_close=0.3))
    await receive_until(socket, of_topic("sts"))
    stop(face, inject(face, FaultKind.HALF_OPEN))
    assert await socket.close()
    assert socket.close_code == 1006, "no answer within the client's patience"


async def test_maintenance_closes_and_greets_nobody(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.MAINTENANCE)
    assert await closed_with(socket) == 1001
    stop(face, fault)
    await streaming(client, face, "CL")


async def test_maintenance_closes_websockets_that_wait_for_their_greeting(tmp_path: Path) -> None:
    slow = replace(QUICK, greeting_delay=0.3)
    async with simulated(tmp_path, behaviour=slow) as (client, face):
        await client.authenticate()
        early = await client.connect()
        inject(face, FaultKind.MAINTENANCE)
        assert await closed_with(early) == 1001


async def test_maintenance_lets_no_new_websocket_in(pair: Pair) -> None:
    client, face = pair
    fault = inject(face, FaultKind.MAINTENANCE, latency=0.0)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.connect()
    assert refused.value.status == 503
    stop(face, fault)
    await client.greeted()


async def test_a_gateway_that_hangs_hangs_on_its_websockets_too(pair: Pair) -> None:
    client, face = pair
    socket, (conid,) = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.GATEWAY_HANGS)
    await socket.send_str("tic")
    while not await quiet_for(socket, 3 * QUICK.heartbeat_every):
        pass
    stop(face, fault)
    await receive_until(socket, of_topic("tic"))
    await ladder_frame(socket, conid)


# Heartbeats and the kind of frames.


async def test_no_heartbeats_while_everything_else_goes_on(pair: Pair) -> None:
    client, face = pair
    socket, (conid,) = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.NO_HEARTBEATS)
    await settled(socket)
    since = face.world.clock.now()
    while face.world.clock.now() < since + 3 * QUICK.heartbeat_every:
        assert classify(await receive(socket)).topic != "system"
    stop(face, fault)
    await receive_until(socket, is_heartbeat)
    await ladder_frame(socket, conid)


@pytest.mark.parametrize("skew", [30.0, -3600.0])
async def test_heartbeats_with_another_clock(pair: Pair, skew: float) -> None:
    client, face = pair
    socket = await client.greeted()
    before = (await receive_until(socket, is_heartbeat))[-1]["hb"]
    inject(face, FaultKind.HEARTBEAT_SKEW, skew=skew)
    await settled(socket)
    after = (await receive_until(socket, is_heartbeat))[-1]["hb"]
    beats = (after - before - skew * 1000) / (QUICK.heartbeat_every * 1000)
    assert beats == int(beats) > 0, "and still on the grid"


async def test_text_frames(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.TEXT_FRAMES)
    await socket.send_str("tic")
    messages = await frames_until(socket, lambda m: '"topic":"tic"' in str(m.data))
    assert messages[-1].type is aiohttp.WSMsgType.TEXT
    stop(face, fault)
    await settled(socket)


# Market data that stops.


async def test_no_data_says_so_in_the_quote_and_beats_on(pair: Pair) -> None:
    client, face = pair
    socket, (conid,) = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.NO_DATA)
    await settled(socket)
    await socket.send_str(f'smd+{conid}+{{"fields":["31","55","84","6509"]}}')
    first = (await receive_until(socket, of_topic("smd")))[-1]
    assert first["6509"] == "N"
    assert first["55"] == "CL"
    assert not {"31", "84"} & set(first)
    assert await topics_of_beats(socket, 3) == []
    stop(face, fault)
    back = (await receive_until(socket, of_topic("smd")))[-1]
    assert back["6509"] == "RB"
    assert {"31", "84"} <= set(back)
    await ladder_frame(socket, conid)


async def test_no_data_of_one_contract(pair: Pair) -> None:
    client, face = pair
    socket, (oil, gold) = await streaming(client, face, "CL", "GC")
    inject(face, FaultKind.NO_DATA, symbol="GC", availability="O")
    await settled(socket)
    topics = set(await topics_of_beats(socket, 3))
    assert topics == {f"sbd+{ACCOUNT}+{oil}"}
    await socket.send_str(f'smd+{gold}+{{"fields":["6509"]}}')
    assert (await receive_until(socket, of_topic("smd")))[-1]["6509"] == "O"


async def test_a_silent_ladder_comes_back_by_itself(pair: Pair) -> None:
    client, face = pair
    socket, (oil, gold) = await streaming(client, face, "CL", "GC")
    fault = inject(face, FaultKind.SILENT_LADDER, symbol="CL")
    await settled(socket)
    assert set(await topics_of_beats(socket, 3)) == {f"sbd+{ACCOUNT}+{gold}"}
    stop(face, fault)
    await ladder_frame(socket, oil)


async def test_all_ladders_silent(pair: Pair) -> None:
    client, face = pair
    socket, _ = await streaming(client, face, "CL", "GC")
    inject(face, FaultKind.SILENT_LADDER)
    await settled(socket)
    assert await topics_of_beats(socket, 3) == []


async def test_without_the_entitlement_quotes_go_on_and_ladders_do_not(pair: Pair) -> None:
    client, face = pair
    socket, (oil,) = await streaming(client, face, "CL")
    fault = inject(face, FaultKind.LADDER_NOT_ENTITLED)
    await settled(socket)
    gold = conid_of(face, "GC")
    await subscribe(socket, gold)
    await socket.send_str(f'smd+{oil}+{{"fields":["31"]}}')
    await receive_until(socket, of_topic(f"smd+{oil}"))
    assert not [topic for topic in await topics_of_beats(socket, 3) if topic.startswith("sbd")]
    assert face.login is not None
    assert len(face.login.ladders) == 1, "what was refused takes no slot"
    stop(face, fault)
    await ladder_frame(socket, oil)
    await subscribe(socket, gold)
    await ladder_frame(socket, gold)


async def test_a_contract_that_is_gone_falls_silent_and_the_next_month_does_not(
    pair: Pair,
) -> None:
    client, face = pair
    socket, (front,) = await streaming(client, face, "CL")
    inject(face, FaultKind.CONTRACT_GONE, symbol="CL")
    following = face.world.catalogue.months_of("CL")[1].conid
    for conid in (front, following):
        await subscribe(socket, conid)
    await ladder_frame(socket, following)
    assert set(await topics_of_beats(socket, 3)) == {f"sbd+{ACCOUNT}+{following}"}


async def test_quotes_expire_without_a_word(pair: Pair) -> None:
    client, face = pair
    socket = await client.greeted()
    oil, gold = conid_of(face, "CL"), conid_of(face, "GC")
    for conid in (oil, gold):
        await socket.send_str(f'smd+{conid}+{{"fields":["31","84","85","86","88"]}}')
        await receive_until(socket, of_topic(f"smd+{conid}"))
    inject(face, FaultKind.QUOTES_EXPIRED, symbol="CL")
    await settled(socket)
    assert set(await topics_of_beats(socket, 4)) == {f"smd+{gold}"}
    inject(face, FaultKind.QUOTES_EXPIRED)
    await settled(socket)
    assert await topics_of_beats(socket, 3) == []
    await socket.send_str(f'smd+{oil}+{{"fields":["31"]}}')
    await receive_until(socket, of_topic(f"smd+{oil}"))


async def test_ladders_expire_without_a_word_and_free_their_slots(pair: Pair) -> None:
    client, face = pair
    socket, (oil, gold) = await streaming(client, face, "CL", "GC")
    inject(face, FaultKind.LADDERS_EXPIRED, symbol="CL")
    await settled(socket)
    assert set(await topics_of_beats(socket, 3)) == {f"sbd+{ACCOUNT}+{gold}"}
    inject(face, FaultKind.LADDERS_EXPIRED)
    await settled(socket)
    assert await topics_of_beats(socket, 3) == []
    await slots_free(client, face)
    await subscribe(socket, oil)
    assert len(data_of(await ladder_frame(socket, oil))) == 21


# What stands in a ladder.


async def test_duplicated_rows(pair: Pair) -> None:
    client, face = pair
    inject(face, FaultKind.DUPLICATED_ROWS)
    socket = await client.greeted()
    conid = conid_of(face, "CL")
    await subscribe(socket, conid)
    rows = [row["row"] for row in data_of(await ladder_frame(socket, conid))]
    assert len(rows) > len(set(rows)) == 21


async def test_reordered_rows(pair: Pair) -> None:
    client, face = pair
    inject(face, FaultKind.REORDERED_ROWS)
    socket = await client.greeted()
    conid = conid_of(face, "CL")
    await subscribe(socket, conid)
    rows = [row["row"] for row in data_of(await ladder_frame(socket, conid))]
    assert rows != sorted(rows)
    assert sorted(rows) == list(range(21))


async def test_a_crossed_book_heals_with_the_next_keyframe(pair: Pair) -> None:
    client, face = pair
    fault = inject(face, FaultKind.CROSSED_BOOK, symbol="CL")
    socket = await client.greeted()
    conid = conid_of(face, "CL")
    assert await crossed_after(socket, conid, 5)
    stop(face, fault)
    await settled(socket)
    await subscribe(socket, conid)
    while len(rows := data_of(await ladder_frame(socket, conid))) < 21:
        pass
    asks = [row["row"] for row in rows if "ask" in row]
    bids = [row["row"] for row in rows if "bid" in row]
    assert not asks or not bids or max(asks) < min(bids)


async def test_numbers_instead_of_strings(pair: Pair) -> None:
    client, face = pair
    inject(face, FaultKind.NUMERIC_VALUES)
    socket = await client.greeted()
    conid = conid_of(face, "ES")
    await subscribe(socket, conid)
    for row in data_of(await ladder_frame(socket, conid)):
        assert isinstance(row["price"], float) or row["focus"] == 1
        assert all(isinstance(row[side], int) for side in ("bid", "ask") if side in row)


async def test_a_window_is_laid_anew_with_its_depth(tmp_path: Path) -> None:
    calm = replace(QUICK, market=replace(QUICK.market, jump_every=1e9))
    async with simulated(tmp_path, behaviour=calm) as (client, face):
        await client.authenticate()
        socket, (conid,) = await streaming(client, face, "CL")
        while len(data_of(await ladder_frame(socket, conid))) < 10:
            pass
        inject(face, FaultKind.RELAID_WINDOW, symbol="CL")
        while len(rows := data_of(await ladder_frame(socket, conid))) < 21:
            pass
        assert sum("bid" in row or "ask" in row for row in rows) > 10


async def test_a_ladder_that_begins_around_zero(tmp_path: Path) -> None:
    ladder = LadderParameters(
        answer_delay=(0.05, 0.1), zero_delay=(0.05, 0.1), around_zero_share=0.0, whole_zero_share=1
    )
    async with simulated(tmp_path, behaviour=replace(QUICK, ladder=ladder)) as (client, face):
        await client.authenticate()
        fault = inject(face, FaultKind.LAID_AROUND_ZERO)
        socket = await client.greeted()
        conid = conid_of(face, "CL")
        await subscribe(socket, conid)
        first = data_of(await ladder_frame(socket, conid))
        assert [row["price"] for row in first[:3]] == ["0.10", "0.09", "0.08"]
        assert not any("bid" in row or "ask" in row for row in first)
        second = data_of(await ladder_frame(socket, conid))
        assert len(second) < 21
        assert float(second[0]["price"].rpartition(" ")[2]) > 1
        stop(face, fault)
        await settled(socket)
        await subscribe(socket, conid)
        while len(rows := data_of(await ladder_frame(socket, conid))) < 21:
            pass
        assert float(rows[0]["price"].rpartition(" ")[2]) > 1


# Frames that should not be.


async def test_duplicated_frames_are_counted_as_often_as_they_are_sent(pair: Pair) -> None:
    client, face = pair
    inject(face, FaultKind.DUPLICATED_FRAMES)
    socket = await client.greeted()
    conid = conid_of(face, "CL")
    await subscribe(socket, conid)
    frames = [await ladder_frame(socket, conid) for _ in range(10)]
    assert frames[0::2] == frames[1::2]
    await socket.send_str(f"ubd+{ACCOUNT}")
    rest = await settled(socket)
    count = len(frames) + sum(message["topic"].startswith("sbd") for message in rest)
    record = await client.json("GET", "/simulator/record")
    assert record["ladder_frames_sent"] == {str(conid): count}


async def test_truncated_json_and_what_is_counted(pair: Pair) -> None:
    client, face = pair
    socket, conid, received = await client.connect(), conid_of(face, "CL"), []
    for _ in range(3):
        received.append(await receive(socket))
    fault = inject(face, FaultKind.TRUNCATED_JSON)
    inject(face, FaultKind.NO_HEARTBEATS)
    await subscribe(socket, conid)
    while len(received) < 10:
        received.append(await receive(socket))
    for payload in received[3:]:
        if classify(payload).topic != "system":
            assert payload.startswith(f'{{"topic":"sbd+{ACCOUNT}+{conid}"'.encode())
            assert classify(payload).topic == "undecodable"
    stop(face, fault)
    while classify(received[-1]).topic != "sbd":
        received.append(await receive(socket))
    await socket.send_str(f"ubd+{ACCOUNT}")
    count = len(received) + len(await settled(socket))
    assert face.world.sent("papera01").frames == count


async def test_an_unknown_topic(pair: Pair) -> None:
    client, face = pair
    socket = await client.greeted()
    inject(face, FaultKind.UNKNOWN_TOPIC)
    message = (await receive_until(socket, of_topic("xyz")))[-1]
    assert message == {"topic": "xyz+1", "args": {"value": 1}}


async def test_the_old_echo_comes_unasked_and_is_no_json(pair: Pair) -> None:
    client, face = pair
    socket = await client.greeted()
    inject(face, FaultKind.ECHO_TEXT)
    messages = await frames_until(socket, lambda m: m.type is aiohttp.WSMsgType.TEXT)
    assert messages[-1].data == "ech+hb"


@pytest.mark.parametrize("size", [1_000_000, 5_000_000])
async def test_a_giant_frame(pair: Pair, size: int) -> None:
    client, face = pair
    socket = await client.greeted()
    inject(face, FaultKind.GIANT_FRAME, bytes=size)
    messages = await frames_until(socket, lambda m: len(m.data) > 100_000)
    assert len(messages[-1].data) == size
    assert json.loads(messages[-1].data)["topic"] == "blt"


async def test_notifications(pair: Pair) -> None:
    client, face = pair
    socket = await client.greeted()
    inject(face, FaultKind.NOTIFICATION, text="read this")
    message = (await receive_until(socket, of_topic("ntf")))[-1]
    assert message["args"]["text"] == "read this"
    assert set(message["args"]) == {"id", "text", "title", "url"}
    inject(face, FaultKind.NOTIFICATION, topic="blt", text="and this")
    message = (await receive_until(socket, of_topic("blt")))[-1]
    assert message["args"]["message"] == "and this"


async def test_faults_come_to_every_websocket_of_the_user(pair: Pair) -> None:
    client, face = pair
    sockets = [await client.greeted() for _ in range(3)]
    inject(face, FaultKind.UNKNOWN_TOPIC)
    for socket in sockets:
        await receive_until(socket, of_topic("xyz"))


# The parts that need no socket.


class Someone:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def told(self, fault: Fault) -> None:
        self.faults.append(fault)


def test_connections_are_told_while_they_are_there_and_kept_by_nobody() -> None:
    faults = Faults()
    connections, someone, gone = OpenConnections(faults), Someone(), Someone()
    connections.add(someone)
    connections.add(gone)
    connections.discard(gone)
    connections.discard(gone)
    faults.begin(FaultKind.ECHO_TEXT, 0.0)
    faults.begin(FaultKind.HALF_OPEN, 0.0)
    kinds = [fault.kind for fault in someone.faults]
    assert kinds == [FaultKind.ECHO_TEXT, FaultKind.HALF_OPEN]
    assert gone.faults == []
    del someone
    gc.collect()
    assert len(connections) == 0


async def test_ended_connections_are_forgotten(pair: Pair) -> None:
    client, face = pair
    listener = face.world.faults._listeners[-1]
    connections: OpenConnections = listener.__self__  # type: ignore[attr-defined]
    sockets = [await client.greeted() for _ in range(20)]
    assert len(connections) == 20
    for socket in sockets:
        await socket.close()
    async with asyncio.timeout(TIMEOUT):
        while len(connections):
            await client.json("GET", "/tickle")


@pytest.mark.parametrize("kind", list(FaultKind))
def test_frames_of_instant_kinds_only(kind: FaultKind) -> None:
    frames = frames_of(Fault(1, kind))
    expected = {
        FaultKind.UNKNOWN_TOPIC,
        FaultKind.ECHO_TEXT,
        FaultKind.GIANT_FRAME,
        FaultKind.NOTIFICATION,
    }
    assert bool(frames) == (kind in expected)


@pytest.mark.parametrize("size", [0, -5, 100, 2_000])
def test_a_giant_is_as_big_as_it_was_asked_to_be(size: int) -> None:
    (frame,) = frames_of(Fault(1, FaultKind.GIANT_FRAME, parameters={"bytes": size}))
    assert len(frame) == max(size, 50)


@pytest.mark.parametrize(
    ("code", "sendable"),
    [(999, False), (1000, True), (1004, False), (1005, False), (1006, False), (1011, True)]
    + [(1015, False), (2999, False), (3000, True), (4999, True), (5000, False), (-1, False)],
)
def test_codes_that_a_close_frame_may_carry(code: int, sendable: bool) -> None:
    assert is_sendable(code) is sendable


@pytest.mark.parametrize("payload", [b"{", b'{"topic":"sbd+A+1","data":[]}'])
def test_truncated_json_is_never_empty(payload: bytes) -> None:
    assert payload.startswith(truncated(payload))
    assert truncated(payload)
