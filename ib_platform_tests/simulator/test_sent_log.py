"""The sent log holds every frame that anybody received, in order, whatever ends the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pytest

from ib_platform.clocks import Clocks
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.sent_log import SentFrame, SentLog, read_sent_log
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.simulator.client import client_of, receive
from ib_platform_tests.streamer.stream_bench import begin_session

LADDER = b'{"topic":"sbd+DU1000001+304037393","data":[]}'
HEARTBEAT = b'{"topic":"system","hb":1762860446968}'


@dataclass
class Ticks:
    """Clocks that say 1, 2, 3, ..."""

    last: int = 0

    def next(self) -> int:
        self.last += 1
        return self.last


def test_a_line_says_who_got_what_and_when(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    log = SentLog.open(file, Clocks(Ticks().next, Ticks(100).next))
    first, second = log.websocket(), log.websocket()
    first(None, b"ech+hb")
    second("papera01", HEARTBEAT)
    first("papera01", LADDER)
    assert list(read_sent_log(file)) == [
        SentFrame(None, 0, 0, 1, 101, "ech", None, 6, google_crc32c.value(b"ech+hb")),
        SentFrame("papera01", 1, 0, 2, 102, "system", None, 37, google_crc32c.value(HEARTBEAT)),
        SentFrame("papera01", 0, 1, 3, 103, "sbd", 304037393, 45, google_crc32c.value(LADDER)),
    ]
    log.close()


def test_a_file_that_is_there_or_cannot_be_made_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    file.touch()
    with pytest.raises(ConfigurationError, match="is there already; name a new file"):
        SentLog.open(file)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        SentLog.open(tmp_path / "no folder" / "sent.jsonl")


def test_a_file_that_is_being_written_to_and_one_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    log = SentLog.open(file)
    log.websocket()("papera01", HEARTBEAT)
    log.close()
    with file.open("ab") as more:
        more.write(b'{"user":"pap')
    assert [frame.index for frame in read_sent_log(file)] == [0]
    file.write_text('{"topic":"sbd"}\n')
    with pytest.raises(ConfigurationError, match=r"sent.jsonl:1: no line of a sent log"):
        list(read_sent_log(file))


def test_a_killed_simulator_has_lost_no_line_of_what_was_received(tmp_path: Path) -> None:
    file = tmp_path / "sent.jsonl"
    options = ["--sent-log", str(file)]
    with simulator(tmp_path, options=options, killed=True) as at_ibkr:
        begin_session(at_ibkr)
        received = asyncio.run(_receive_until_killed(at_ibkr))
    sent = list(read_sent_log(file))
    assert len(received) > 100
    by_websocket = [
        [(frame.length, frame.crc32c) for frame in sent if frame.websocket == number]
        for number in (0, 1)
    ]
    for got, wrote in zip(_by_websocket(received), by_websocket, strict=True):
        assert got == wrote[: len(got)]
    assert [f.index for f in sent if f.websocket == 1] == list(range(len(by_websocket[1])))
    assert {frame.user for frame in sent} == {"papera01"}
    assert {"system", "sts", "act", "sbd"} <= {frame.topic for frame in sent}


Received = list[tuple[int, bytes]]


async def _receive_until_killed(at_ibkr: SimulatorProcess) -> Received:
    """Websocket and payload of what came until the simulator was killed in the middle of it."""
    tls = client_ssl_context(at_ibkr.certificate)
    received: Received = []
    async with client_of(at_ibkr.user.gateway_port, tls) as client:
        sockets = [await client.connect(), await client.connect()]
        enough = asyncio.Event()
        conid = (await client.json("GET", "/trsrv/futures", params={"symbols": "CL"}))["CL"][0][
            "conid"
        ]

        async def read(number: int) -> None:
            asked = False
            while True:
                try:
                    payload = await receive(sockets[number])
                except AssertionError:
                    return
                received.append((number, payload))
                if not asked and b'"sts"' in payload:
                    asked = True
                    await sockets[number].send_str(f"sbd+{at_ibkr.user.account}+{conid}")
                    await sockets[number].send_str(f'smd+{conid}+{{"fields":["31","84","86"]}}')
                if len(received) > 100:
                    enough.set()

        readers = [asyncio.create_task(read(number)) for number in (0, 1)]
        await asyncio.wait_for(enough.wait(), 120)
        at_ibkr.process.kill()
        await asyncio.gather(*readers)
    return received


def _by_websocket(received: Received) -> Iterator[list[tuple[int, int]]]:
    for wanted in (0, 1):
        yield [
            (len(payload), google_crc32c.value(payload))
            for number, payload in received
            if number == wanted
        ]
