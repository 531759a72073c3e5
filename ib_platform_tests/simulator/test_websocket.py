"""The websocket over real TLS: greeting, keep-alives, quotes, ladders, session news, nonsense."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.marketdata.book import FrameRole, LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.simulator.faces import GatewayFace
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    Client,
    SteppedClock,
    is_heartbeat,
    of_topic,
    receive,
    receive_until,
    simulated,
    slots_free,
)
from ib_platform_tests.simulator.sockets import (
    ACCOUNT,
    closed_with,
    conid_of,
    ladder_frame,
    settled,
    topics_of_beats,
)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Client, GatewayFace]]:
    """An authenticated simulator with three slots."""
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        yield client, face


@pytest.mark.parametrize("path", ["/v1/api/ws", "/v1/portal/ws"])
async def test_the_greeting(pair: tuple[Client, GatewayFace], path: str) -> None:
    socket = await pair[0].connect(path)
    system, act, sts = [json.loads(await receive(socket)) for _ in range(3)]
    assert system == {"topic": "system", "success": "papera01", "isFT": False, "isPaper": True}
    assert act["topic"] == "act"
    assert act["args"]["accounts"] == [ACCOUNT]
    assert act["args"]["isPaper"] is True
    assert sts["topic"] == "sts"
    assert sts["args"]["authenticated"] is True
    assert sts["args"]["connected"] is True
    assert sts["args"]["username"] == "papera01"


async def test_waiting_for_session_until_there_is_one(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        socket = await client.connect()
        for _ in range(2):
            assert await receive(socket) == b'{"message":"waiting for session"}'
        await client.authenticate()
        messages = await receive_until(socket, of_topic("sts"))
        greeting = [message["topic"] for message in messages if "topic" in message]
        assert greeting == ["system", "act", "sts"]


async def test_heartbeats_carry_milliseconds(pair: tuple[Client, GatewayFace]) -> None:
    socket = await pair[0].greeted()
    beats = [(await receive_until(socket, is_heartbeat))[-1] for _ in range(3)]
    assert all(set(beat) == {"topic", "hb"} and beat["topic"] == "system" for beat in beats)
    stamps = [beat["hb"] for beat in beats]
    assert stamps == sorted(set(stamps))
    assert abs(stamps[0] - pair[1].world.wall_ms()) < TIMEOUT * 1000


async def test_tic_is_answered(pair: tuple[Client, GatewayFace]) -> None:
    client, _ = pair
    socket = await client.greeted()
    await socket.send_str("tic")
    answer = (await receive_until(socket, of_topic("tic")))[-1]
    assert answer["alive"] is True
    assert answer["id"] == (await client.json("GET", "/tickle"))["session"]
    assert type(answer["lastAccessed"]) is int


async def test_ech_is_echoed_as_text(pair: tuple[Client, GatewayFace]) -> None:
    socket = await pair[0].greeted()
    await socket.send_str("ech+hb")
    async with asyncio.timeout(TIMEOUT):
        while (message := await socket.receive()).type is not aiohttp.WSMsgType.TEXT:
            pass
    assert message.data == "ech+hb"


async def test_what_comes_before_sts_is_dropped(tmp_path: Path) -> None:
    # A long delay makes sure that the early message is read before the greeting.
    behaviour = replace(QUICK, greeting_delay=0.5)
    async with simulated(tmp_path, behaviour=behaviour) as (client, _):
        await client.authenticate()
        socket = await client.connect()
        await socket.send_str("tic")
        await receive_until(socket, of_topic("sts"))
        assert "tic" not in await topics_of_beats(socket, 3)
        await socket.send_str("tic")
        await receive_until(socket, of_topic("tic"))


async def test_a_ladder_from_request_to_depth(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    conid, book = conid_of(face, "CL"), LadderBook()
    socket = await client.greeted()
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    roles: list[FrameRole] = []
    while not book.complete or len(roles) < 5:
        rows = decode_ladder(await ladder_frame(socket, conid))
        assert isinstance(rows, LadderRows)
        update = book.apply(rows)
        assert isinstance(update, LadderUpdate)
        roles.append(update.role)
        assert not book.touch().crossed
    assert roles[0] is FrameRole.FULL
    assert roles[1] is FrameRole.DELTA


async def test_the_exchange_part_is_accepted_and_not_repeated(
    pair: tuple[Client, GatewayFace],
) -> None:
    client, face = pair
    conid = conid_of(face, "ES")
    socket = await client.greeted()
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}+CME")
    assert json.loads(await ladder_frame(socket, conid))["topic"] == f"sbd+{ACCOUNT}+{conid}"


async def test_asking_again_brings_a_keyframe(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    conid = conid_of(face, "NQ")
    socket = await client.greeted()
    for _ in range(3):
        await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
        async with asyncio.timeout(TIMEOUT):
            while (await ladder_frame(socket, conid)).count(b'"row"') < 21:
                pass


async def test_several_ladders_up_to_the_slots(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    socket = await client.greeted()
    wanted = [conid_of(face, symbol) for symbol in ("CL", "ES", "NQ", "GC")]
    for conid in wanted:
        await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    for conid in wanted[:3]:
        await ladder_frame(socket, conid)
    topics = set(await topics_of_beats(socket, 4))
    assert topics == {f"sbd+{ACCOUNT}+{conid}" for conid in wanted[:3]}


async def test_slots_belong_to_the_session_and_come_free(tmp_path: Path) -> None:
    async with simulated(tmp_path, slots=1) as (client, face):
        await client.authenticate()
        first, second = await client.greeted(), await client.greeted()
        oil, gold = conid_of(face, "CL"), conid_of(face, "GC")
        await first.send_str(f"sbd+{ACCOUNT}+{oil}")
        await ladder_frame(first, oil)
        await second.send_str(f"sbd+{ACCOUNT}+{gold}")
        assert await topics_of_beats(second, 3) == []
        await first.close()
        await slots_free(client, face)
        await second.send_str(f"sbd+{ACCOUNT}+{gold}")
        await ladder_frame(second, gold)


async def test_ubd_is_account_wide_and_silent(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    socket = await client.greeted()
    conids = [conid_of(face, symbol) for symbol in ("CL", "ES")]
    for conid in conids:
        await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    for conid in conids:
        await ladder_frame(socket, conid)
    await socket.send_str(f"ubd+{ACCOUNT}+{conids[0]}")
    await socket.send_str("tic")
    before = await receive_until(socket, of_topic("tic"))
    assert not any(message["topic"] == "ubd" for message in before)
    assert await topics_of_beats(socket, 3) == []
    await socket.send_str(f"ubd+{ACCOUNT}")
    answer = (await receive_until(socket, of_topic("ubd")))[-1]
    assert answer == {"topic": "ubd", "message": "unsubscribed"}


async def test_quotes(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    conid = conid_of(face, "CL")
    socket = await client.greeted()
    await socket.send_str(f'smd+{conid}+{{"fields":["31","84","86","6509","55"]}}')
    first = (await receive_until(socket, of_topic(f"smd+{conid}")))[-1]
    assert {"31", "84", "86", "6509", "55"} <= set(first)
    second = (await receive_until(socket, of_topic(f"smd+{conid}")))[-1]
    assert "55" not in second, "only changed fields after the first frame"
    await socket.send_str(f"umd+{conid}+{{}}")
    await socket.send_str("tic")
    await receive_until(socket, of_topic("tic"))
    assert await topics_of_beats(socket, 4) == []


async def test_session_news_come_in_pieces_and_end_the_ladders(
    pair: tuple[Client, GatewayFace],
) -> None:
    client, face = pair
    conid = conid_of(face, "CL")
    socket = await client.greeted()
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(socket, conid)
    await client.json("POST", "/logout")
    piece = (await receive_until(socket, of_topic("sts")))[-1]
    assert piece == {"topic": "sts", "args": {"authenticated": False}}
    assert await topics_of_beats(socket, 2) == []
    await client.authenticate()
    piece = (await receive_until(socket, of_topic("sts")))[-1]
    assert piece == {"topic": "sts", "args": {"authenticated": True}}
    assert await topics_of_beats(socket, 2) == [], "the client has to subscribe again"
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(socket, conid)


async def test_the_idle_timeout_is_told(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, _):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1)
        socket = await client.greeted()
        clock.advance(361)
        piece = (await receive_until(socket, of_topic("sts")))[-1]
        assert piece["args"] == {"authenticated": False}


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("hello", "hel"),
        ('{"session":"abc"}', '{"s'),
        ("sbd+DU9999999+42", "sbd"),
        ("ubd+DU9999999", "ubd"),
        ("sbd", "sbd"),
        ("smd+42+{", "smd+42"),
    ],
)
async def test_nonsense_is_answered_with_an_error(
    pair: tuple[Client, GatewayFace], text: str, topic: str
) -> None:
    socket = await pair[0].greeted()
    await socket.send_str(text)
    answer = (await receive_until(socket, lambda message: "error" in message))[-1]
    assert answer["topic"] == topic
    assert isinstance(answer["error"], str)


async def test_an_unknown_contract_stays_silent(pair: tuple[Client, GatewayFace]) -> None:
    socket = await pair[0].greeted()
    await socket.send_str(f"sbd+{ACCOUNT}+42")
    await socket.send_str('smd+42+{"fields":["31"]}')
    await socket.send_str("umd+42+{}")
    assert await topics_of_beats(socket, 3) == []
    assert pair[1].login is not None
    assert len(pair[1].login.ladders) == 0, "and takes no slot"


async def test_random_bytes_take_nothing_down(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    luck = random.Random(5)
    socket = await client.greeted()
    for _ in range(300):
        noise = luck.randbytes(luck.randint(0, 60))
        if luck.random() < 0.5:
            await socket.send_bytes(luck.choice([b"", b"sbd+", b"smd+1+", b"ubd+"]) + noise)
        else:
            await socket.send_str(noise.decode("latin-1"))
    await socket.send_str("tic")
    await receive_until(socket, of_topic("tic"))
    conid = conid_of(face, "CL")
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(socket, conid)


async def test_rude_clients_take_nothing_down(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    conid = conid_of(face, "CL")
    huge = await client.greeted()
    await huge.send_str("x" * 2_000_000)
    vanishing = await client.greeted()
    await vanishing.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(vanishing, conid)
    transport: Any = vanishing.get_extra_info("transport") or vanishing._conn.transport  # type: ignore[union-attr]
    transport.abort()
    decent = await client.greeted()
    await slots_free(client, face)
    await decent.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(decent, conid)


async def test_the_record_counts_what_was_sent(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    conid = conid_of(face, "CL")
    socket = await client.greeted()
    received = 3
    await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
    ladders = 0
    while ladders < 20:
        message = json.loads(await receive(socket))
        received += 1
        ladders += message["topic"].startswith("sbd")
    await socket.send_str(f"ubd+{ACCOUNT}")
    await socket.send_str("tic")
    rest = await receive_until(socket, of_topic("tic"))
    ladders += sum(message["topic"].startswith("sbd") for message in rest)
    record = await client.json("GET", "/simulator/record")
    assert record["ladder_frames_sent"] == {str(conid): ladders}
    assert record["frames_sent"] >= received + len(rest)
    assert record["replay"] is None


async def test_a_stopping_simulator_says_goodbye(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        await client.authenticate()
        socket = await client.greeted()
    assert socket.closed
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in others if "simulator" in repr(task)]


async def test_account_topics_are_accepted(pair: tuple[Client, GatewayFace]) -> None:
    socket = await pair[0].greeted()
    for text in ("sor+{}", "str+{}", "uor+{}", "utr", "upl+{}", "usd+DU1000001", "uld+DU1000001"):
        await socket.send_str(text)
    assert [message["topic"] for message in await settled(socket)][-1] == "tic"
    await socket.send_str("spl+{}")
    assert "DU1000001.Core" in (await receive_until(socket, of_topic("spl")))[-1]["args"]
    for topic in ("ssd", "sld"):
        await socket.send_str(f"{topic}+{ACCOUNT}+{{}}")
        answer = (await receive_until(socket, of_topic(topic)))[-1]
        assert answer["topic"] == f"{topic}+{ACCOUNT}"
        await socket.send_str(f"{topic}+DU9999999")
        answer = (await receive_until(socket, of_topic(topic)))[-1]
        assert "error" in answer


async def test_history_is_one_answer_and_its_end_another(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    socket = await client.greeted()
    await socket.send_str(f'smh+{conid_of(face, "CL")}+{{"period":"1h","bar":"1min"}}')
    await receive_until(socket, of_topic("smh"))
    await socket.send_str("umh+q7")
    answer = (await receive_until(socket, lambda m: "message" in m and "topic" not in m))[-1]
    assert answer == {"message": "Unsubscribed q7"}


@pytest.mark.parametrize(("availability", "quotes"), [("DB", True), ("N", False), ("Oi", False)])
async def test_what_field_6509_allows(tmp_path: Path, availability: str, quotes: bool) -> None:
    async with simulated(tmp_path) as (client, face):
        assert face.login is not None
        entitled = face.login.user.model_copy(update={"availability": availability})
        face.login.user = entitled
        await client.authenticate()
        socket, conid = await client.greeted(), conid_of(face, "CL")
        await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
        await socket.send_str(f'smd+{conid}+{{"fields":["31","84","6509"]}}')
        first = (await receive_until(socket, of_topic("smd")))[-1]
        assert first["6509"] == availability
        assert ("84" in first) is quotes
        assert not [topic for topic in await topics_of_beats(socket, 3) if topic[:3] == "sbd"]


async def test_a_quote_dies_after_fifteen_minutes_and_asking_again_renews_it(
    tmp_path: Path,
) -> None:
    clock = SteppedClock()
    behaviour = replace(QUICK, session=replace(QUICK.session, idle_timeout=1e9))
    async with simulated(tmp_path, clock=clock, behaviour=behaviour) as (client, face):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1)
        socket, conid = await client.greeted(), conid_of(face, "CL")
        ask = f'smd+{conid}+{{"fields":["31","84","85","86","88","7762"]}}'
        await socket.send_str(ask)
        await settled(socket)
        clock.advance(500)
        await receive_until(socket, of_topic("smd"))
        await socket.send_str(ask)
        await settled(socket)
        clock.advance(899)
        await receive_until(socket, of_topic("smd"))
        clock.advance(2)
        await receive_until(socket, is_heartbeat)
        clock.advance(100)
        messages = await receive_until(socket, is_heartbeat)
        assert not [message for message in messages if of_topic("smd")(message)]
        await socket.send_str(ask)
        await settled(socket)
        clock.advance(1)
        await receive_until(socket, of_topic("smd"))


async def test_a_quote_with_an_exchange(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    socket, conid = await client.greeted(), conid_of(face, "CL")
    await socket.send_str(f'smd+{conid}@NYMEX+{{"fields":["31"]}}')
    assert (await receive_until(socket, of_topic("smd")))[-1]["topic"] == f"smd+{conid}"


async def test_each_quote_of_a_websocket_has_its_own_server_id(
    pair: tuple[Client, GatewayFace],
) -> None:
    client, face = pair
    socket, ids = await client.greeted(), []
    for symbol in ("CL", "ES", "NQ"):
        conid = conid_of(face, symbol)
        await socket.send_str(f'smd+{conid}+{{"fields":["31"]}}')
        ids.append((await receive_until(socket, of_topic(f"smd+{conid}")))[-1]["server_id"])
    assert ids == ["q0", "q1", "q2"]


async def test_floods_take_nothing_down(pair: tuple[Client, GatewayFace]) -> None:
    client, face = pair
    flood = await client.greeted()
    for number in range(2_000):
        await flood.ping(str(number).encode())
    for _ in range(200):
        await flood.send_str("x" * 1_000)
    decent = await client.greeted()
    conid = conid_of(face, "CL")
    await decent.send_str(f"sbd+{ACCOUNT}+{conid}")
    await ladder_frame(decent, conid)
    await settled(flood)


@pytest.mark.parametrize("size", [262_144, 300_000])
async def test_a_message_that_is_too_long_ends_its_websocket_only(
    pair: tuple[Client, GatewayFace], size: int
) -> None:
    client, _ = pair
    rude, decent = await client.greeted(), await client.greeted()
    await rude.send_str("x" * size)
    # The server cuts right after its close frame: a client may not get to answer it.
    assert await closed_with(rude) in (1009, 1006)
    await settled(decent)


async def test_invalid_utf8_in_a_text_message_ends_its_websocket_only(
    pair: tuple[Client, GatewayFace],
) -> None:
    client, _ = pair
    rude, decent = await client.greeted(), await client.greeted()
    await rude.send_frame(b"sbd+\xff\xfe\x80", aiohttp.WSMsgType.TEXT)
    assert await closed_with(rude) in (1007, 1006)
    await settled(decent)


async def test_a_client_that_never_reads_holds_up_nobody(pair: tuple[Client, GatewayFace]) -> None:
    """Its frames stay in its own buffers; the others stream on, and it can go."""
    client, face = pair
    idle = await client.greeted()
    for symbol in ("CL", "ES", "NQ"):
        await idle.send_str(f"sbd+{ACCOUNT}+{conid_of(face, symbol)}")
    other = await client.greeted()
    await topics_of_beats(other, 5)
    await idle.close()
    await slots_free(client, face)
