"""A recording from its first question to its last line, against a simulated gateway."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from ib_platform.errors import (
    ConfigurationError,
    GatewayError,
    LiveAccountError,
    PlatformError,
)
from ib_platform.ibkr.capture_file import CaptureWriter, read_capture_file
from ib_platform.ibkr.capture_format import Frame, Note
from ib_platform.recorder import app
from ib_platform.recorder.stage import Upkeep
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.users import AccountKind
from ib_platform_tests.ports import free_port
from ib_platform_tests.recorder.gateways import (
    ACCOUNT,
    NAMES,
    Made,
    quick_options,
    recorded,
    secret_config,
    secret_gateway,
    with_port,
)
from ib_platform_tests.simulator.client import TIMEOUT


async def eventually(path: Path, count: int, what: str, direction: str = "out") -> None:
    """Wait until the growing file has ``count`` messages that begin with ``what``."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            if path.exists():
                lines = read_capture_file(path, allow_torn=True).lines
                sent = [x.msg or "" for x in lines if isinstance(x, Frame) and x.dir == direction]
                if sum(text.startswith(what) for text in sent) >= count:
                    return
            await asyncio.sleep(0.05)


async def test_a_whole_recording(tmp_path: Path) -> None:
    options = quick_options(tmp_path / "c.jsonl.gz", symbols=("CL", "ES"), seconds=1.5)
    async with secret_gateway(tmp_path) as (config, face):
        made = await recorded(config, options)
        session = face.login.session_id if face.login else ""
    header = made.file.header
    assert header is not None
    assert (header.account, header.username) == ("DU1000001", "papera01")
    assert header.products == ("CL", "ES")
    assert header.gateway == "simulator"
    assert set(header.programs) == {"ib_platform", "python", "aiohttp"}

    paths = [exchange.path for exchange in made.exchanges]
    assert paths[:2] == ["/tickle", "/sso/validate"], "nothing is asked before the proof"
    for path in ("/iserver/auth/status", "/iserver/accounts", "/trsrv/futures"):
        assert path in paths
    for ending in ("/info", "/info-and-rules", "/trading-schedule", "/snapshot"):
        assert sum(path.endswith(ending) for path in paths) == 2, ending
    snapshots = [e.query for e in made.exchanges if e.path.endswith("/snapshot")]
    assert all("6509" in query for query in snapshots)

    conids = [x.data["conid"] for x in made.lines if isinstance(x, Note) and x.name == "contract"]
    assert len(conids) == 2
    wanted = [f"sbd+DU1000001+{conid}" for conid in conids]
    assert [text for text in made.outbound if text.startswith("sbd")] == wanted
    for conid in conids:
        assert any(
            frame.startswith(b'{"topic":"sbd+DU1000001+%d"' % conid) for frame in made.inbound
        )
        assert any(b'"topic":"smd+%d"' % conid in frame for frame in made.inbound)
    assert made.outbound[-3:] == ["ubd+DU1000001", *(f"umd+{conid}+{{}}" for conid in conids)]

    assert made.note("end").text == "the time is over"
    assert made.lines[-1] == made.note("end")
    assert made.note("end").data["in"] == len(made.inbound)
    assert len({line.ns for line in made.lines}) > len(made.lines) * 0.9, "stamped one by one"
    assert any(str(len(made.inbound)) in line for line in made.said)

    text = "".join(map(str, made.lines)) + str(header)
    for secret in (*NAMES, session):
        assert secret
        assert secret not in text


async def test_it_ends_when_told_to(tmp_path: Path) -> None:
    stopping, options = asyncio.Event(), quick_options(tmp_path / "c.jsonl.gz", symbols=("CL",))
    async with secret_gateway(tmp_path) as (config, _):
        recording = asyncio.create_task(recorded(config, options, stopping))
        await eventually(options.out, 1, "sbd")
        stopping.set()
        made = await recording
    assert made.note("end").text == "told to end"
    assert made.file.torn is None
    assert "ubd+DU1000001" in made.outbound, "it says goodbye"


async def test_contracts_of_the_paper_user_unless_symbols_are_named(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path) as (config, _):
        made = await recorded(config, quick_options(tmp_path / "c.jsonl", seconds=0.1))
    assert made.note("contract").data["key"] == "CL.NYMEX.front"


async def test_a_symbol_that_is_not_configured(tmp_path: Path) -> None:
    options = quick_options(tmp_path / "c.jsonl", symbols=("GC",), seconds=0.1)
    async with secret_gateway(tmp_path) as (config, _):
        made = await recorded(config, options)
        assert made.note("contract").data["key"] == "GC.ANY.front"
        with pytest.raises(ConfigurationError, match="no future that still trades"):
            await recorded(config, replace(options, out=tmp_path / "d.jsonl", symbols=("XX",)))


# Refusals: each before anything was written.


async def test_a_live_login_is_refused(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path, kind=AccountKind.LIVE) as (config, _):
        options = quick_options(tmp_path / "c.jsonl")
        with pytest.raises(LiveAccountError, match="not provably a paper login"):
            await recorded(config, options)
    assert not options.out.exists()


async def test_another_account_is_refused(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path, account="DU9999999") as (config, _):
        options = quick_options(tmp_path / "c.jsonl")
        with pytest.raises(
            LiveAccountError, match=f"does not see the configured account {ACCOUNT}"
        ):
            await recorded(config, options)
    assert not options.out.exists()


async def test_nobody_is_logged_in(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path) as (config, face):
        assert face.login is not None
        face.world.end_login(face.login)
        face.login = None
        options = quick_options(tmp_path / "c.jsonl")
        with pytest.raises(GatewayError, match="tickle: HTTP 401"):
            await recorded(config, options)
    assert not options.out.exists()


async def test_a_session_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path) as (config, face):
        world = face.world
        other = world.log_in(face.user)
        other.sessions.start_brokerage(other.token, world.clock.now(), compete=False)
        options = quick_options(tmp_path / "c.jsonl")
        with pytest.raises(GatewayError, match="another login of this user"):
            await recorded(config, options)
    assert not options.out.exists()


async def test_no_gateway(tmp_path: Path) -> None:
    async with secret_gateway(tmp_path) as (config, _):
        options = quick_options(tmp_path / "c.jsonl")
        with pytest.raises(GatewayError, match="no answer"):
            await recorded(with_port(config, free_port()), options)
    assert not options.out.exists()


async def test_a_file_that_is_there(tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    out.write_text("precious")
    with pytest.raises(ConfigurationError, match="captures are not overwritten"):
        await recorded(secret_config(tmp_path), quick_options(out))
    assert out.read_text() == "precious"


# What happens to a gateway while it is recorded, is what is recorded.


async def test_it_comes_back_after_the_websocket_was_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Upkeep", lambda: Upkeep(reconnect_after=0.05))
    stopping, options = asyncio.Event(), quick_options(tmp_path / "c.jsonl.gz", symbols=("CL",))
    async with secret_gateway(tmp_path) as (config, face):
        recording = asyncio.create_task(recorded(config, options, stopping))
        await eventually(options.out, 1, "sbd")
        faults, clock = face.world.faults, face.world.clock
        faults.begin(FaultKind.WEBSOCKET_CLOSED, clock.now(), parameters={"code": 1011})
        await eventually(options.out, 2, "sbd")
        stopping.set()
        made = await recording
    notes = [(x.name, x.data) for x in made.lines if isinstance(x, Note)]
    assert ("websocket.closed", {"connection": 1, "code": 1011}) in notes
    assert ("websocket.opened", {"connection": 2}) in notes
    assert {frame.connection for frame in made.frames} == {1, 2}


async def test_a_penalty_ends_the_questions_and_not_the_recording(tmp_path: Path) -> None:
    stopping, options = asyncio.Event(), quick_options(tmp_path / "c.jsonl.gz", symbols=("CL",))
    options = replace(options, seconds=1.0)
    async with secret_gateway(tmp_path) as (config, face):
        world = face.world

        def boxed() -> None:
            world.faults.begin(
                FaultKind.HTTP_ERROR,
                world.clock.now(),
                parameters={"status": 429, "path": "/iserver/marketdata/snapshot"},
            )

        boxed()
        made = await recorded(config, options, stopping)
    assert made.note("rest.stopped").text.startswith("HTTP 429")
    assert [e.status for e in made.exchanges if e.path.endswith("/snapshot")] == [429]
    assert made.exchanges[-1].status == 429, "nothing was asked afterwards"
    assert any(frame.startswith(b'{"topic":"sbd+') for frame in made.inbound)


async def test_a_session_that_is_lost_is_asked_again_when_it_is_back(tmp_path: Path) -> None:
    stopping, options = asyncio.Event(), quick_options(tmp_path / "c.jsonl.gz", symbols=("CL",))
    async with secret_gateway(tmp_path) as (config, face):
        recording = asyncio.create_task(recorded(config, options, stopping))
        await eventually(options.out, 1, "sbd")
        assert face.login is not None
        sessions, token = face.login.sessions, face.login.token
        now = face.world.clock.now
        face.world.faults.begin(FaultKind.BROKERAGE_LOST, now())
        # Told only where the websocket looks while it lasts.
        await eventually(options.out, 1, '{"topic":"sts","args":{"authenticated":false', "in")
        sessions.start_brokerage(token, now(), compete=True)
        await eventually(options.out, 2, "sbd")
        stopping.set()
        made = await recording
    assert {frame.connection for frame in made.frames} == {1}


async def test_a_disk_that_is_full_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush, calls = CaptureWriter.flush, itertools.count()

    def full_later(writer: CaptureWriter) -> None:
        if next(calls) > 2:
            raise PlatformError("the capture cannot be written (No space left on device)")
        flush(writer)

    monkeypatch.setattr(CaptureWriter, "flush", full_later)
    options = quick_options(tmp_path / "c.jsonl.gz", symbols=("CL",))
    async with secret_gateway(tmp_path) as (config, _):
        with pytest.raises(PlatformError, match="No space left"):
            await recorded(config, options)
    assert Made(options.out).lines, "what was written until then can be read"


async def test_quotes_are_renewed_before_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Upkeep", lambda: Upkeep(renew_quotes_every=0.2))
    options = quick_options(tmp_path / "c.jsonl", symbols=("CL",))
    stopping = asyncio.Event()
    async with secret_gateway(tmp_path) as (config, _):
        recording = asyncio.create_task(recorded(config, options, stopping))
        await eventually(options.out, 3, "smd")
        stopping.set()
        await recording
