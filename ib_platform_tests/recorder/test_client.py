"""The recording REST client: everything is written down, gently asked, and never after a 429."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ib_platform.ibkr.capture_file import read_capture_file
from ib_platform.ibkr.capture_format import Exchange, Note
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.recorder.client import RecordingClient
from ib_platform.recorder.masking import Masker
from ib_platform.recorder.recording import Recording
from ib_platform_tests.ibkr.test_capture_format import HEADER
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, logged_in, tiny_gateway


@asynccontextmanager
async def recorded(
    folder: Path, share: int = 1000
) -> AsyncIterator[tuple[RecordingClient, TinyGateway, Recording]]:
    recording = Recording(Masker("DU7654321", "hansmeier7"))
    async with tiny_gateway(folder) as gateway:
        gateway.answers = dict(logged_in(2, True, "DU7654321"))
        tls = client_ssl_context(gateway.certificate)
        async with RecordingClient(gateway.port, tls, recording, share=share) as client:
            yield client, gateway, recording


def exchanges(recording: Recording, folder: Path) -> list[Exchange]:
    recording.open(folder / "c.jsonl", HEADER)
    recording.close()
    lines = read_capture_file(folder / "c.jsonl").lines
    return [line for line in lines if isinstance(line, Exchange)]


async def test_an_exchange_as_it_went(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (client, gateway, recording):
        gateway.answers["/iserver/marketdata/snapshot"] = (200, [{"conid": 42}])
        await client.snapshot((42, 43), ("31", "6509"))
        await client.accounts()
    first, second = exchanges(recording, tmp_path)
    assert (first.method, first.path) == ("GET", "/iserver/marketdata/snapshot")
    assert first.query == "conids=42,43&fields=31,6509"
    assert (first.status, first.body) == (200, '[{"conid": 42}]')
    assert first.headers["Content-Type"].startswith("application/json")
    assert second.body == '{"accounts": ["DU1000001"], "isPaper": true}'


async def test_the_body_of_a_request(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (client, gateway, recording):
        gateway.answers["/iserver/auth/ssodh/init"] = (500, "no")
        with pytest.raises(GatewayCallError):
            await client.ssodh_init(compete=False)
    [line] = exchanges(recording, tmp_path)
    assert line.request == '{"publish":true,"compete":false}'
    assert (line.status, line.body) == (500, "no")


async def test_a_gateway_that_is_gone(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (client, gateway, recording):
        await client.tickle()
        client._base = client._base.replace(str(gateway.port), "1")
        with pytest.raises(GatewayCallError):
            await client.trading_schedule(42)
    line = exchanges(recording, tmp_path)[-1]
    assert (line.status, line.path) == (None, "/contract/trading-schedule")
    assert line.query == "conid=42"
    assert "nothing listens on" in line.body


async def test_nothing_is_asked_after_a_429(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (client, gateway, recording):
        gateway.answers["/tickle"] = (429, {"error": "Too many requests"})
        for _ in range(2):
            with pytest.raises(GatewayCallError) as caught:
                await client.tickle()
            assert caught.value.status == 429
        with pytest.raises(GatewayCallError, match="not asked"):
            await client.accounts()
        assert client.stopped
        assert len(gateway.requests) == 1
    assert [line.status for line in exchanges(recording, tmp_path)] == [429]
    notes = [x for x in read_capture_file(tmp_path / "c.jsonl").lines if isinstance(x, Note)]
    assert [note.name for note in notes] == ["rest.stopped"]


async def test_calls_keep_their_distance_whoever_makes_them(tmp_path: Path) -> None:
    async with recorded(tmp_path, share=2) as (client, _, recording):
        await asyncio.gather(*(client.auth_status() for _ in range(4)))
    began = [line.ns - line.took_ns for line in exchanges(recording, tmp_path)]
    # Two in a window of a second, the third after it.
    assert began[2] - began[0] > 1e9
    assert began[3] - began[1] > 1e9


async def test_a_wait_for_the_turn_is_no_slow_answer(tmp_path: Path) -> None:
    async with recorded(tmp_path, share=1) as (client, _, recording):
        await asyncio.gather(*(client.auth_status() for _ in range(2)))
    first, second = exchanges(recording, tmp_path)
    assert second.ns - first.ns > 1e9
    assert second.took_ns < second.ns - first.ns


async def test_the_session_id_of_tickle_stays_out(tmp_path: Path) -> None:
    async with recorded(tmp_path) as (client, _, recording):
        assert (await client.tickle()).session == "cafe", "the caller gets the real one"
    exchanges(recording, tmp_path)
    assert "cafe" not in (tmp_path / "c.jsonl").read_text()
