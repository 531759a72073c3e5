"""The streamer as a real process against a gateway that a test scripts message by message."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.errors import LiveAccountError, SpoolError
from ib_platform.health import StreamerHealth
from ib_platform.paths import PodPaths
from ib_platform.states import Cause, PodState, StreamEventKind
from ib_platform.streamer.ending import end_of_run
from ib_platform.streamer.records import RecordKind
from ib_platform_tests.ibkr.tiny_gateway import (
    AUTHENTICATED,
    TinyGateway,
    logged_in,
    tiny_gateway,
)
from ib_platform_tests.pod_processes import PodProcess, health_of, running, write_config
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.app_bench import (
    CL,
    assign_on_disk,
    config_for,
    event_kinds,
    events_of,
    records_of,
)
from ib_platform_tests.support import wait_until

T = TypeVar("T")
FUTURES = {"CL": [{"conid": 7, "expirationDate": 20991220}]}
WELCOME = '{"topic":"system","success":"papera01","isPaper":true}'


def _sts(**args: Any) -> str:
    return json.dumps({"topic": "sts", "args": args})


STS = _sts(authenticated=True, connected=True, competing=False)


async def _until(condition: Callable[[], T], what: str) -> T:
    return await asyncio.to_thread(wait_until, condition, what)


async def _stop(process: PodProcess) -> int:
    return await asyncio.to_thread(process.stop)


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    """ClickHouse is away: what happened is read from the spool."""
    (tmp_path / "password").write_text("x")
    away = ClickHouse(port=free_port(), password_file=tmp_path / "password")
    limits = {"heartbeat_timeout": 1, "shutdown_deadline": 0.2}
    config = config_for(tmp_path, away, **limits)
    assign_on_disk(config, CL)
    return config


@pytest.fixture
def file(config: PlatformConfig, tmp_path: Path) -> Path:
    return write_config(config, tmp_path)


@pytest.fixture
async def gateway(config: PlatformConfig) -> AsyncIterator[TinyGateway]:
    user = config.paper_user("alpha")
    folder = PodPaths(config.runtime.state_dir, "alpha").folder
    async with tiny_gateway(folder, user.gateway_port) as gateway:
        gateway.answers = logged_in(2, True, user.account)
        gateway.answers["/trsrv/futures"] = (200, FUTURES)
        gateway.answers["/iserver/contract/7/info"] = (200, {"multiplier": "1000"})
        gateway.socket_messages = [WELCOME, STS]
        yield gateway


@pytest.mark.parametrize(
    ("login_type", "is_paper", "account"),
    [(1, True, "DU1000001"), (2, False, "DU1000001"), (2, True, "U1000001")],
)
async def test_a_live_login_is_refused_before_any_request(
    gateway: TinyGateway, file: Path, login_type: int, is_paper: bool, account: str
) -> None:
    gateway.answers |= logged_in(login_type, is_paper, account)
    with running("stream", file) as streamer:
        assert await asyncio.to_thread(streamer.process.wait, 60) == 7
        assert "not provably a paper login" in streamer.output()
    assert gateway.socket_cookie is None
    assert gateway.received == []
    paths = {path for _, path, _ in gateway.requests}
    assert not any("futures" in path or "marketdata" in path for path in paths)


async def test_a_refused_live_login_is_in_the_record(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    gateway.answers |= logged_in(1, False, "U1")
    with running("stream", file) as streamer:
        assert await asyncio.to_thread(streamer.process.wait, 60) == 7
    states = [e.detail["state"] for e in events_of(config) if "state" in e.detail]
    assert states[-1] == PodState.REFUSED_LIVE
    assert event_kinds(config)["run_stopped"] == 1


@pytest.mark.parametrize(
    "welcome",
    [
        '{"topic":"system","success":"papera01","isPaper":false}',
        '{"topic":"system","success":"live01","isPaper":true}',
    ],
)
async def test_a_websocket_of_another_login_is_refused_before_any_request(
    gateway: TinyGateway, file: Path, config: PlatformConfig, welcome: str
) -> None:
    gateway.socket_messages = [welcome, STS]
    with running("stream", file) as streamer:
        assert await asyncio.to_thread(streamer.process.wait, 60) == 7
        assert "not provably a paper login" in streamer.output()
    assert gateway.received == []
    end = events_of(config)[-1]
    assert (end.kind, end.cause) == (StreamEventKind.RUN_STOPPED, Cause.SESSION_LOST)
    assert end.detail["error"] == "LiveAccountError"


async def test_an_empty_answer_about_the_account_is_asked_again(
    gateway: TinyGateway, file: Path
) -> None:
    accounts = gateway.answers["/iserver/accounts"]
    gateway.answers["/iserver/accounts"] = [(200, ""), accounts]
    with running("stream", file) as streamer:
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        assert await _stop(streamer) == 0
    paths = [path for _, path, _ in gateway.requests]
    assert (paths.count("/iserver/accounts"), paths.count("/sso/validate")) == (2, 1)


async def test_a_shutdown_waits_for_no_database_and_no_gateway(
    gateway: TinyGateway, config: PlatformConfig, tmp_path: Path
) -> None:
    """ClickHouse accepts and never answers, as when it is stopped by SIGSTOP."""
    with socket.create_server(("127.0.0.1", config.clickhouse.port)):
        limits = config.limits.model_copy(
            update={"shutdown_deadline": 3, "heartbeat_every": 0.2, "heartbeat_timeout": 60}
        )
        file = write_config(config.model_copy(update={"limits": limits}), tmp_path)
        with running("stream", file) as streamer:
            await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
            began = time.monotonic()
            assert await _stop(streamer) == 0
            took = time.monotonic() - began
    assert event_kinds(config)["run_stopped"] == 1
    # One read of the database alone may take 10 s, an insert 60 s.
    assert took < 9


@pytest.fixture
def small_spool(tmp_path: Path) -> Iterator[Path]:
    """The spools on a disk of 3 MiB, mounted before anything is written there."""
    folder = tmp_path / "spool"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _ladder(top: float = 60.0) -> str:
    rows = [{"row": r, "focus": 0, "price": f"{top - r / 100:.2f}"} for r in range(21)]
    rows[9]["ask"], rows[11]["bid"] = "3", "4"
    return json.dumps({"topic": "sbd+DU1000001+7", "data": rows})


async def test_a_full_disk_ends_nothing_and_its_losses_are_in_the_record(
    small_spool: Path, gateway: TinyGateway, config: PlatformConfig, tmp_path: Path
) -> None:
    limits = config.limits.model_copy(update={"heartbeat_timeout": 60})
    file = write_config(config.model_copy(update={"limits": limits}), tmp_path)
    port = config.paper_user("alpha").health_port
    request = "sbd+DU1000001+7"

    def reason() -> str:
        health = health_of(port, StreamerHealth)
        return "" if health is None else health.reason

    with running("stream", file) as streamer:
        await _until(lambda: request in gateway.received, "the ladder's request")
        with (small_spool / "filler").open("wb") as filler, suppress(OSError):
            while True:
                os.write(filler.fileno(), bytes(4096))
        while "frames are lost" not in await asyncio.to_thread(reason):
            await gateway.sockets[-1].send_str(_ladder())
        for message in (_sts(competing=True), STS, _ladder()):
            await gateway.sockets[-1].send_str(message)
        await _until(lambda: "requests wait" in streamer.output(), "a request that waits")
        assert gateway.received.count(request) == 1
        (small_spool / "filler").unlink()
        await _until(lambda: gateway.received.count(request) == 2, "the request after the loss")
        await gateway.sockets[-1].send_str(_ladder())
        await _until(lambda: "frames are lost" not in reason(), "a healthy spool")
        health = await asyncio.to_thread(health_of, port, StreamerHealth)
        assert health is not None
        assert await _stop(streamer) == 0
    events = events_of(config)
    # The last bytes of the disk may take an event and then refuse a frame again.
    losses = [e for e in events if e.kind is StreamEventKind.FRAMES_LOST]
    lost = sum(loss.detail["lost_frames"] for loss in losses)
    assert {loss.cause for loss in losses} == {Cause.DISK_FULL}
    assert health.frames.received == health.frames.spooled + lost
    assert events[-1].detail["lost"] == lost
    changes = [e.cause for e in events if e.kind is StreamEventKind.SESSION_CHANGED]
    assert changes == [None, Cause.COMPETING_LOGIN, None]
    last = events.index(losses[-1])
    renewed = next(e for e in events[last:] if e.kind is StreamEventKind.SUBSCRIBE_REQUESTED)
    assert (renewed.conid, renewed.cause) == (7, Cause.COMPETING_LOGIN)


async def test_a_run_that_cannot_go_on_says_why(config: PlatformConfig, file: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", config.paper_user("alpha").health_port)),
        running("stream", file) as streamer,
    ):
        assert await asyncio.to_thread(streamer.process.wait, 60) == 3
    end = events_of(config)[-1]
    assert (end.kind, end.cause) == (StreamEventKind.RUN_STOPPED, Cause.STREAMER_DIED)
    assert end.detail["error"] == "PlatformInUseError"


def test_the_cause_of_an_end() -> None:
    full = SpoolError("full")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert end_of_run(None) == (None, {})
    assert end_of_run(full) == (Cause.DISK_FULL, {"error": "SpoolError"})
    assert end_of_run(LiveAccountError("live"))[0] is Cause.SESSION_LOST
    assert end_of_run(ValueError("boom"))[0] is Cause.STREAMER_DIED


async def test_a_single_401_does_not_close_a_working_websocket(
    gateway: TinyGateway, file: Path, config: PlatformConfig, tmp_path: Path
) -> None:
    limits = config.limits.model_copy(update={"heartbeat_timeout": 60})
    write_config(config.model_copy(update={"limits": limits}), tmp_path)
    path = "/iserver/auth/status"
    with running("stream", file) as streamer:
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        gateway.answers[path] = [(401, ""), (200, AUTHENTICATED)]
        await _until(
            lambda: isinstance(gateway.answers[path], list) and len(gateway.answers[path]) == 1,
            "the 401",
        )
        asked = len(gateway.requests)
        await _until(lambda: len(gateway.requests) > asked, "a second question")
        assert event_kinds(config)["disconnected"] == 0
        gateway.answers[path] = (401, "")
        await _until(lambda: event_kinds(config)["disconnected"], "the end of the connection")
        assert await _stop(streamer) == 0
    end = next(e for e in events_of(config) if e.kind is StreamEventKind.DISCONNECTED)
    assert end.cause is Cause.SESSION_LOST


async def test_nothing_is_asked_for_before_sts(
    gateway: TinyGateway, config: PlatformConfig, tmp_path: Path
) -> None:
    gateway.socket_messages = [WELCOME]
    # A third of the deadline is the goodbye's: a slow machine needs more than the others leave it.
    # And the second connection, which gets no heartbeat either, must outlive the stop.
    quick = {"shutdown_deadline": 6, "heartbeat_timeout": 5}
    goodbye = ["ubd+DU1000001", "umd+7+{}", "tic"]
    limits = config.limits.model_copy(update=quick)
    file = write_config(config.model_copy(update={"limits": limits}), tmp_path)
    with running("stream", file) as streamer:
        await _until(lambda: gateway.socket_cookie == "api=cafe", "a websocket")
        await _until(lambda: "not even a heartbeat" in streamer.output(), "its end")
        assert gateway.received == []
        gateway.socket_messages = [WELCOME, STS]
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        assert await _stop(streamer) == 0
        # What the streamer has sent last may still lie in the socket.
        await _until(lambda: gateway.received[-3:] == goodbye, "the goodbye")


async def test_what_was_sent_before_the_goodbye_is_received_still(
    gateway: TinyGateway, config: PlatformConfig, tmp_path: Path
) -> None:
    patient = {"shutdown_deadline": 6, "heartbeat_timeout": 60}
    limits = config.limits.model_copy(update=patient)
    file = write_config(config.model_copy(update={"limits": limits}), tmp_path)
    late = [json.dumps({"topic": "smd+7", "conid": 7, "31": str(price)}) for price in range(50)]
    answer = '{"topic":"tic","alive":true}'
    gateway.socket_answers = {"ubd+DU1000001": late, "tic": [answer]}
    with running("stream", file) as streamer:
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        assert await _stop(streamer) == 0
    records = records_of(config)
    payloads = [r.payload for r in records if r.kind is RecordKind.FRAME]
    assert [payload.decode() for payload in payloads[-51:]] == [*late, answer]
    assert events_of(config)[-1].kind is StreamEventKind.RUN_STOPPED


async def test_a_half_open_connection_is_noticed_and_replaced(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    with running("stream", file) as streamer:
        await _until(lambda: gateway.received.count("sbd+DU1000001+7") >= 2, "a second request")
        assert await _stop(streamer) == 0
    ends = [e for e in events_of(config) if e.kind is StreamEventKind.DISCONNECTED]
    assert ends[0].cause is Cause.DISCONNECTED
    assert "not even a heartbeat" in ends[0].detail["why"]
    kinds = [e.kind.value for e in events_of(config)]
    # Each request was recorded, and belongs to its own connection. A slow machine may find the
    # first one dead before the contracts are resolved.
    begin = kinds.index("subscribe_requested") - 1
    assert kinds[begin : begin + 5] == [
        "connected",
        "subscribe_requested",
        "subscribe_requested",
        "disconnected",
        "connected",
    ]


async def test_a_connection_that_the_gateway_closes_is_replaced(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    gateway.close_after_messages = True
    with running("stream", file) as streamer:
        await _until(lambda: event_kinds(config)["disconnected"] >= 2, "two closed connections")
        assert await _stop(streamer) == 0
    first = next(e for e in events_of(config) if e.kind is StreamEventKind.DISCONNECTED)
    assert first.cause is Cause.DISCONNECTED
    assert "code 1000" in first.detail["why"]


async def test_repeated_sts_and_act_are_no_reconnect(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    act = '{"topic":"act","args":{"accounts":["DU1000001"]}}'
    gateway.socket_messages = [WELCOME, act, STS, STS, act, _sts(message=""), STS]
    with running("stream", file) as streamer:
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        port = config.paper_user("alpha").health_port
        health = await asyncio.to_thread(health_of, port, StreamerHealth)
        assert health is not None
        assert health.frames.received >= 7
        assert await _stop(streamer) == 0
    before_end = [e for e in events_of(config) if e.kind is StreamEventKind.SESSION_CHANGED]
    assert [e.detail["state"] for e in before_end] == ["AUTHENTICATED"]


@pytest.mark.parametrize(
    ("piece", "cause"),
    [
        ({"authenticated": False}, Cause.SESSION_LOST),
        ({"competing": True}, Cause.COMPETING_LOGIN),
    ],
)
async def test_a_session_that_is_lost_and_found_is_subscribed_again(
    gateway: TinyGateway,
    file: Path,
    config: PlatformConfig,
    piece: dict[str, bool],
    cause: Cause,
) -> None:
    gateway.socket_messages = [WELCOME, STS, _sts(**piece), STS]
    with running("stream", file) as streamer:
        await _until(lambda: "sbd+DU1000001+7" in gateway.received, "the ladder's request")
        assert await _stop(streamer) == 0
    changes = [e for e in events_of(config) if e.kind is StreamEventKind.SESSION_CHANGED]
    assert [change.cause for change in changes[:3]] == [None, cause, None]


async def test_a_connection_that_ends_without_a_session_has_its_cause(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    gateway.socket_messages = [WELCOME, STS, _sts(competing=True)]
    gateway.close_after_messages = True
    with running("stream", file) as streamer:
        await _until(lambda: event_kinds(config)["disconnected"], "the end of the connection")
        assert await _stop(streamer) == 0
    end = next(e for e in events_of(config) if e.kind is StreamEventKind.DISCONNECTED)
    assert end.cause is Cause.COMPETING_LOGIN


async def test_undecodable_messages_are_spooled_and_counted(
    gateway: TinyGateway, file: Path, config: PlatformConfig
) -> None:
    gateway.socket_messages = [WELCOME, STS, b"\xff\xfe", '{"topic":"sbd+DU1000001+7","data":5}']
    port = config.paper_user("alpha").health_port
    with running("stream", file) as streamer:

        def counted() -> StreamerHealth | None:
            health = health_of(port, StreamerHealth)
            return health if health and health.frames.undecodable >= 2 else None

        health = await _until(counted, "two undecodable frames")
        assert health is not None
        assert health.frames.spooled == health.frames.received >= 4
        assert await _stop(streamer) == 0
