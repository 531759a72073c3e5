"""Scenarios of market data, from a client's side. A test is named after its scenario."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform_tests.simulator.client import of_topic, receive_until
from ib_platform_tests.simulator.drilled import Drilled, drilled
from ib_platform_tests.simulator.sockets import (
    ACCOUNT,
    Socket,
    conid_of,
    data_of,
    frames_until,
    ladder_frame,
    settled,
    streaming,
    subscribe,
    topics_of_beats,
)


async def begun(drill: Drilled, *symbols: str) -> tuple[Socket, list[int]]:
    """Authenticated, and these ladders stream."""
    await drill.client.authenticate()
    return await streaming(drill.client, drill.face, *symbols)


async def quote_of(socket: Socket, conid: int, field: str) -> Any:
    """The value of a field in the first frame of a quote."""
    await socket.send_str(f"smd+{conid}+{json.dumps({'fields': [field]})}")
    return (await receive_until(socket, of_topic(f"smd+{conid}")))[-1].get(field)


async def is_silent(socket: Socket) -> bool:
    """Whether no ladder frame comes while heartbeats do."""
    await settled(socket)
    return not any(topic.startswith("sbd") for topic in await topics_of_beats(socket, 3))


async def test_donor_logged_in(tmp_path: Path) -> None:
    async with drilled(tmp_path, "donor_logged_in") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await is_silent(socket)
        assert await quote_of(socket, conid, "6509") == "N"
        status = await drill.client.json("GET", "/iserver/auth/status")
        assert status["authenticated"], "nothing else tells"
        await drill.at(245)
        await ladder_frame(socket, conid)


async def test_acknowledgement_missing(tmp_path: Path) -> None:
    async with drilled(tmp_path, "acknowledgement_missing") as drill:
        await drill.at(0)
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        conid = conid_of(drill.face, "CL")
        await subscribe(socket, conid)
        assert await is_silent(socket)
        assert await quote_of(socket, conid, "6509") == "O"


async def test_delayed_data(tmp_path: Path) -> None:
    async with drilled(tmp_path, "delayed_data") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await quote_of(socket, conid, "6509") == "DB"
        assert await is_silent(socket)
        await drill.at(245)
        await ladder_frame(socket, conid)


async def test_not_entitled(tmp_path: Path) -> None:
    async with drilled(tmp_path, "not_entitled") as drill:
        await drill.at(0)
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        conid = conid_of(drill.face, "ES")
        await subscribe(socket, conid)
        assert await quote_of(socket, conid, "6509") == "RB"
        assert await is_silent(socket)


async def test_silent_ladder(tmp_path: Path) -> None:
    async with drilled(tmp_path, "silent_ladder") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await is_silent(socket)
        await subscribe(socket, conid)
        assert await is_silent(socket), "asking again does not help"
        await drill.at(185)
        await ladder_frame(socket, conid)


async def test_subscriptions_expire(tmp_path: Path) -> None:
    async with drilled(tmp_path, "subscriptions_expire") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await quote_of(socket, conid, "31")
        await drill.at(60)
        await settled(socket)
        assert await topics_of_beats(socket, 3) == []
        await subscribe(socket, conid)
        await ladder_frame(socket, conid)
        drill.clock.jump(121)
        assert await is_silent(socket), "the lifetime has passed"


async def test_one_ladder_at_a_time(tmp_path: Path) -> None:
    async with drilled(tmp_path, "one_ladder_at_a_time") as drill:
        socket, (oil, gold) = await begun(drill, "CL", "GC")
        await settled(socket)
        assert set(await topics_of_beats(socket, 5)) == {f"sbd+{ACCOUNT}+{gold}"}
        await subscribe(socket, oil)
        await ladder_frame(socket, oil)
        await settled(socket)
        assert set(await topics_of_beats(socket, 5)) == {f"sbd+{ACCOUNT}+{oil}"}


async def test_contract_roll(tmp_path: Path) -> None:
    async with drilled(tmp_path, "contract_roll") as drill:
        socket, (conid,) = await begun(drill, "CL")
        months = (await drill.client.json("GET", "/trsrv/futures?symbols=CL"))["CL"]
        assert conid in {month["conid"] for month in months}
        await drill.at(60)
        assert await is_silent(socket)
        months = (await drill.client.json("GET", "/trsrv/futures?symbols=CL"))["CL"]
        assert conid not in {month["conid"] for month in months}
        following = min(months, key=lambda month: month["expirationDate"])["conid"]
        await subscribe(socket, following)
        await ladder_frame(socket, following)


async def test_holiday(tmp_path: Path) -> None:
    async with drilled(tmp_path, "holiday") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await is_silent(socket)
        await drill.at(245)
        await ladder_frame(socket, conid)


async def test_trading_halt(tmp_path: Path) -> None:
    async with drilled(tmp_path, "trading_halt") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(60)
        assert await is_silent(socket)
        assert (await quote_of(socket, conid, "31")).startswith("H")
        await drill.at(185)
        await ladder_frame(socket, conid)


async def test_daily_break(tmp_path: Path) -> None:
    async with drilled(tmp_path, "daily_break") as drill:
        socket, (conid,) = await begun(drill, "CL")
        assert not (await quote_of(socket, conid, "31")).startswith("C")
        await drill.at(125)
        assert await is_silent(socket)
        assert (await quote_of(socket, conid, "31")).startswith("C")
        drill.clock.jump(3_600)
        await drill.client.authenticate()
        await streaming(drill.client, drill.face, "CL")


async def test_before_any_price(tmp_path: Path) -> None:
    async with drilled(tmp_path, "before_any_price") as drill:
        await drill.at(0)
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        conid = conid_of(drill.face, "CL")
        await subscribe(socket, conid)
        first = data_of(await ladder_frame(socket, conid))
        assert first[0]["price"] == "0.10"
        assert not any("bid" in row or "ask" in row for row in first)
        while float(data_of(await ladder_frame(socket, conid))[0]["price"].split(" @ ")[-1]) < 1:
            pass


async def test_odd_rows(tmp_path: Path) -> None:
    async with drilled(tmp_path, "odd_rows") as drill:
        socket, (conid,) = await begun(drill, "CL")

        async def full_frame() -> list[dict[str, Any]]:
            await settled(socket)
            await subscribe(socket, conid)
            while len(rows := data_of(await ladder_frame(socket, conid))) < 21:
                pass
            return rows

        def numbers(rows: list[dict[str, Any]]) -> list[int]:
            return [row["row"] for row in rows]

        rows = await full_frame()
        assert numbers(rows) == list(range(21))
        await drill.at(31)
        rows = await full_frame()
        assert len(set(numbers(rows))) < len(rows), "some come twice"
        await drill.at(62)
        rows = await full_frame()
        assert sorted(numbers(rows)) == list(range(21))
        assert numbers(rows) != list(range(21))
        await drill.at(93)
        rows = await full_frame()
        assert any(isinstance(row["price"], float) for row in rows)
        await drill.at(124)
        await settled(socket)
        await subscribe(socket, conid)
        await a_crossed_book(socket, conid)
        await drill.at(155)
        await settled(socket)
        await drill.at(181)
        while len(data_of(await ladder_frame(socket, conid))) != 21:
            pass


async def test_odd_frames(tmp_path: Path) -> None:
    async with drilled(tmp_path, "odd_frames") as drill:
        socket, (conid,) = await begun(drill, "CL")
        await drill.at(30)
        await receive_until(socket, of_topic("xyz"))
        await drill.at(35)
        echoed = await frames_until(socket, lambda m: m.data in ("ech+hb", b"ech+hb"))
        assert echoed[-1].type is aiohttp.WSMsgType.TEXT
        await drill.at(40)
        bulletin = (await receive_until(socket, of_topic("blt")))[-1]
        assert bulletin["args"]["message"] == "Exchange notice"
        await drill.at(47)
        await settled(socket)
        frame = await ladder_frame(socket, conid)
        assert await ladder_frame(socket, conid) == frame, "each comes twice"
        await drill.at(92)
        frames = await frames_until(socket, lambda m: not _is_json(m.data))
        assert frames[-1].data.startswith(b'{"topic":"sbd')
        await drill.at(111)
        await frames_until(socket, lambda m: len(m.data) == 1_000_000)
        await drill.at(125)
        texts = await frames_until(socket, lambda m: m.type is aiohttp.WSMsgType.TEXT)
        assert texts[-1].type is aiohttp.WSMsgType.TEXT
        assert not socket.closed


async def a_crossed_book(socket: Socket, conid: int) -> None:
    """Wait until the book that a client builds is crossed."""
    book = LadderBook()
    while True:
        rows = decode_ladder(await ladder_frame(socket, conid))
        assert isinstance(rows, LadderRows), rows
        if isinstance(book.apply(rows), LadderUpdate) and book.touch().crossed:
            return


def _is_json(data: str | bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return data in ("ech+hb", b"ech+hb")
    return True
