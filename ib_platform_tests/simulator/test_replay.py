"""Playing a capture through real sockets: every byte, in order, once, across reconnects."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.capture import Capture, RecordedMessage, load_capture
from ib_platform.simulator.clock import ManualClock, ScaledClock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.program import GatewaySeat, run_simulator
from ib_platform.simulator.recorded_facts import RecordedContract
from ib_platform.simulator.replay import Outlets, Replay
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.ports import free_port
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    USER,
    Client,
    client_of,
    of_topic,
    receive,
    receive_until,
)
from ib_platform_tests.support import (
    CAPTURE_CONID,
    capture_ladder_payloads,
    capture_messages,
    capture_path,
    make_config,
)

SUBSCRIBE = f"sbd+DU1000001+{CAPTURE_CONID}"
INBOUND = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
# No frame of the simulator's own mixes in: its heartbeats are far away.
WITHOUT_BEATS = Behaviour(
    cadence=QUICK.cadence,
    greeting_delay=QUICK.greeting_delay,
    session=QUICK.session,
    pacing=QUICK.pacing,
)

# Of the session only the recording is to be seen, however much simulated time passes.
NO_TIMEOUTS = replace(QUICK.session, idle_timeout=1e9, sso_idle_end=1e9, session_limit=1e9)


def replaying(folder: Path, **options: Any) -> PlatformConfig:
    simulator = {"replay": capture_path(), "speed": 1e9, "max_pause": 0.001} | options
    return make_config(folder, gateway={"simulator": simulator})


@asynccontextmanager
async def running(
    config: PlatformConfig, paper_user: str = "alpha", behaviour: Behaviour = WITHOUT_BEATS
) -> AsyncIterator[Client]:
    """``run_simulator`` in this process, authenticated, ended by cancelling it."""
    folder = config.runtime.state_dir
    certificate, key, port = folder / "gateway.pem", folder / "gateway.key", free_port()
    ensure_certificate(certificate, key)
    task = asyncio.create_task(
        run_simulator(
            config,
            [GatewaySeat(paper_user, certificate, key, port)],
            behaviour=behaviour,
        )
    )
    try:
        async with client_of(port, client_ssl_context(certificate)) as client:
            await listening_at(client, task)
            await client.authenticate()
            yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def listening_at(client: Client, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not task.done():
            try:
                await client.json("GET", "/tickle")
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)
            else:
                return
    await task


async def done(client: Client) -> dict[str, Any]:
    """The record, once the replay is over."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            record: dict[str, Any] = await client.json("GET", "/simulator/record")
            if record["replay"]["done"]:
                return record


async def receive_all(socket: aiohttp.ClientWebSocketResponse[bool], count: int) -> list[bytes]:
    async with asyncio.timeout(TIMEOUT):
        return [await receive(socket) for _ in range(count)]


async def test_every_inbound_message_byte_for_byte_and_in_order(tmp_path: Path) -> None:
    async with running(replaying(tmp_path)) as client:
        socket = await client.greeted()
        await socket.send_str(SUBSCRIBE)
        assert await receive_all(socket, len(INBOUND)) == INBOUND
        record = await done(client)
    ladders = len(capture_ladder_payloads())
    assert record["ladder_frames_sent"] == {str(CAPTURE_CONID): ladders}
    assert record["replay"] == {"total": len(INBOUND), "sent": len(INBOUND), "done": True}
    assert record["frames_sent"] == len(INBOUND) + 3, "and the greeting"


class Metronome(ManualClock):
    """Time passes when the test says so, and never by itself; how long the replay wanted to wait
    is what it says that it waits for, not what a machine takes."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 11, 23, 15, 0, tzinfo=UTC))

    def move_to(self, instant: float) -> None:
        self.advance(max(0.0, instant - self.now()))


async def turns() -> None:
    """Let everything that can run now, run."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def stepped(
    folder: Path, speed: float, max_pause: float | None
) -> AsyncIterator[tuple[Client, Replay, Metronome]]:
    """The recorded capture on face A, in a world whose time the test moves."""
    replay = Replay(load_capture(capture_path()), speed=speed, max_pause=max_pause)
    user = SimulatedUser.of(USER)
    clock = Metronome()
    behaviour = replace(WITHOUT_BEATS, heartbeat_every=1e9, session=NO_TIMEOUTS)
    world = World(
        [user],
        seed=1,
        behaviour=behaviour,
        clock=clock,
        replay=replay,
        replay_username=user.username,
    )
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    face = GatewayFace(world, user)
    assert face.login is not None
    face.login.sessions.start_brokerage(face.login.token, clock.now(), compete=False)
    clock.advance(60)
    playing = asyncio.create_task(replay.run(world.outlets(user.username), clock))
    try:
        async with (
            gateway_listening(face, certificate=certificate, private_key=key, port=0) as listener,
            client_of(listener.port, client_ssl_context(certificate)) as client,
        ):
            yield client, replay, clock
    finally:
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing


@pytest.mark.parametrize(("speed", "max_pause"), [(60.0, None), (0.5, 2.0)])
async def test_every_frame_comes_when_it_is_due(
    tmp_path: Path, speed: float, max_pause: float | None
) -> None:
    """Bytes, order and timing through face A: before its instant a frame is not sent, at its
    instant it arrives. The instants are computed here, from the file."""
    times = [datetime.fromisoformat(m["t"]) for m in capture_messages() if m["dir"] == "in"]
    pauses = [0.0]
    for earlier, later in itertools.pairwise(times):
        scaled = (later - earlier).total_seconds() / speed
        pauses.append(scaled if max_pause is None else min(max_pause, scaled))
    async with stepped(tmp_path, speed, max_pause) as (client, replay, clock):
        socket = await greeted_by_hand(client, clock)
        await socket.send_str(SUBSCRIBE)
        assert await receive(socket) == INBOUND[0], "the request starts it"
        due, early = clock.now(), []
        for number in range(1, len(INBOUND)):
            pause = pauses[number]
            due += pause
            if pause > 0.001:
                clock.move_to(due - 0.0005)
                await turns()
                if replay.sent > number:
                    early.append(number)
            clock.move_to(due + 1e-5)
            assert await receive(socket) == INBOUND[number], number
        assert early == []
        await turns()
        assert replay.sent == len(INBOUND)
    total = (times[-1] - times[0]).total_seconds() / speed
    if max_pause is None:
        assert sum(pauses) == pytest.approx(total)


async def greeted_by_hand(
    client: Client, clock: Metronome
) -> aiohttp.ClientWebSocketResponse[bool]:
    """A websocket that has shown its greeting, in a world that stands still."""
    socket = await client.connect()
    moving = asyncio.create_task(keep_moving(clock))
    try:
        await receive_until(socket, of_topic("sts"))
    finally:
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving
    return socket


async def keep_moving(clock: Metronome) -> None:
    while True:
        clock.advance(0.05)
        await asyncio.sleep(0.001)


class RecordingClock:
    """Time passes only by sleeping, and every sleep is noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 1_000.0 + math.fsum(self.slept)

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@pytest.mark.parametrize(("speed", "max_pause"), [(1.0, None), (60.0, 0.5), (0.5, None)])
async def test_the_replay_waits_as_long_as_the_recording_did(
    speed: float, max_pause: float | None
) -> None:
    replay = Replay(load_capture(capture_path()), speed=speed, max_pause=max_pause)
    outlets, outlet, clock = Outlets(), ListOutlet(10_000), RecordingClock()
    outlets.add(outlet)
    replay.start()
    await replay.run(outlets, clock)
    assert outlet.received == INBOUND
    expected = [replay.pause_before(number) for number in range(replay.total)]
    assert clock.slept == pytest.approx(expected, abs=1e-6)


async def test_a_slow_client_is_not_made_later_and_later() -> None:
    """Writing takes time too: the pauses are between instants, not after writes."""
    clock = RecordingClock()

    class SlowOutlet(ListOutlet):
        async def send(self, payload: bytes, *, as_text: bool = False) -> None:
            clock.slept.append(0.25)
            await super().send(payload)

    replay = Replay(capture_of(*[1.0] * 10), speed=1, max_pause=None)
    outlets = Outlets()
    outlets.add(SlowOutlet(100))
    began = clock.now()
    replay.start()
    await replay.run(outlets, clock)
    assert clock.now() - began == pytest.approx(10.25)


async def test_text_stays_text_and_binary_binary(tmp_path: Path) -> None:
    lines = [
        '{"topic":"sbd+DU1000001+42","data":[]}',
        "ech+hb",
        '{"topic":"smd+42","55":"CL"}',
        "ech+hb",
    ]
    file = tmp_path / "echo.jsonl"
    file.write_text(
        "".join(
            json.dumps({"t": "2026-01-01T00:00:00Z", "dir": "in", "msg": text}) + "\n"
            for text in lines
        )
    )
    async with running(replaying(tmp_path, replay=file)) as client:
        socket = await client.greeted()
        await socket.send_str("sbd+DU1000001+42")
        messages = [await socket.receive(timeout=TIMEOUT) for _ in lines]
    text, binary = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY
    assert [message.type for message in messages] == [binary, text, binary, text]
    data = [m.data.encode() if isinstance(m.data, str) else m.data for m in messages]
    assert data == [line.encode() for line in lines]


async def test_several_ladders_of_one_capture(tmp_path: Path) -> None:
    file = tmp_path / "two.jsonl"
    texts = [
        '{"topic":"sbd+DU1000001+42","data":[]}',
        '{"topic":"smd+42","55":"CL"}',
        '{"topic":"sbd+DU1000001+43","data":[]}',
        '{"topic":"smd+43","55":"ES"}',
    ]
    file.write_text(
        "".join(
            json.dumps({"t": "2026-01-01T00:00:00Z", "dir": "in", "msg": text}) + "\n"
            for text in texts
        )
    )
    async with running(replaying(tmp_path, replay=file)) as client:
        body = await client.json("GET", "/trsrv/futures?symbols=CL,ES")
        fronts = [min(body[s], key=lambda m: m["expirationDate"])["conid"] for s in ("CL", "ES")]
        assert fronts == [42, 43]
        socket = await client.greeted()
        await socket.send_str("sbd+DU1000001+42")
        await socket.send_str("sbd+DU1000001+43")
        assert await receive_all(socket, 4) == [text.encode() for text in texts]
        record = await done(client)
    assert record["ladder_frames_sent"] == {"42": 1, "43": 1}


async def test_nothing_is_played_before_the_first_ladder_request(tmp_path: Path) -> None:
    async with running(replaying(tmp_path)) as client:
        socket = await client.greeted()
        for text in ("tic", f'smd+{CAPTURE_CONID}+{{"fields":["31"]}}', "ubd+DU1000001", "tic"):
            await socket.send_str(text)
        for topic in ("tic", "ubd", "tic"):
            assert json.loads(await receive(socket))["topic"] == topic
        record = await client.json("GET", "/simulator/record")
        assert record["replay"] == {"total": len(INBOUND), "sent": 0, "done": False}


async def test_further_requests_do_not_restart_it(tmp_path: Path) -> None:
    async with running(replaying(tmp_path)) as client:
        socket = await client.greeted()
        received = []
        for _ in range(30):
            await socket.send_str(SUBSCRIBE)
            received += await receive_all(socket, 100)
        await socket.send_str("ubd+DU1000001")
        received += await receive_all(socket, len(INBOUND) - len(received))
        assert received == INBOUND
        await done(client)
        await socket.send_str(SUBSCRIBE)
        await socket.send_str("tic")
        assert json.loads(await receive(socket))["topic"] == "tic"


async def test_it_goes_on_after_a_reconnect(tmp_path: Path) -> None:
    """The capture is slowed, so that most of it is still to come when the client leaves."""
    async with running(replaying(tmp_path, speed=1e4, max_pause=0.01)) as client:
        first = await client.greeted()
        await first.send_str(SUBSCRIBE)
        received = await receive_all(first, 200)
        await first.close()
        second = await client.connect()
        greeting = await receive_all(second, 3)
        assert [json.loads(text)["topic"] for text in greeting] == ["system", "act", "sts"]
        rest: list[bytes] = []
        async with asyncio.timeout(TIMEOUT):
            while not rest or rest[-1] != INBOUND[-1]:
                rest.append(await receive(second))
    # What was under way to the first websocket when it closed went to it, and counts as sent.
    lost = len(INBOUND) - len(received) - len(rest)
    assert received == INBOUND[:200]
    assert rest == INBOUND[-len(rest) :]
    assert 0 <= lost < 100


async def test_messages_wait_while_no_websocket_is_open(tmp_path: Path) -> None:
    config = replaying(tmp_path, speed=1.0, max_pause=0.2)
    async with running(config) as client:
        first = await client.greeted()
        await first.send_str(SUBSCRIBE)
        received = await receive_all(first, 2)
        await first.close()
        # From here on nobody listens, so nothing is sent.
        sent = await sent_so_far(client)
        second = await client.greeted()
        received += await receive_all(second, 3)
        assert received[-3:] == INBOUND[sent : sent + 3]


async def sent_so_far(client: Client) -> int:
    record = await client.json("GET", "/simulator/record")
    sent: int = record["replay"]["sent"]
    return sent


async def test_the_front_month_has_the_recorded_conid(tmp_path: Path) -> None:
    async with running(replaying(tmp_path)) as client:
        months = (await client.json("GET", "/trsrv/futures?symbols=CL"))["CL"]
        front = min(months, key=lambda month: month["expirationDate"])
        assert front["conid"] == CAPTURE_CONID
        assert sum(month["conid"] == CAPTURE_CONID for month in months) == 1
        info = await client.json("GET", f"/iserver/contract/{CAPTURE_CONID}/info-and-rules")
        assert (info["symbol"], info["exchange"]) == ("CL", "NYMEX")
        assert info["rules"]["increment"] == 0.01


async def test_other_contracts_keep_the_synthetic_market(tmp_path: Path) -> None:
    config = replaying(tmp_path, speed=1.0, max_pause=None)
    async with running(config, behaviour=QUICK) as client:
        months = (await client.json("GET", "/trsrv/futures?symbols=ES"))["ES"]
        conid = min(months, key=lambda month: month["expirationDate"])["conid"]
        socket = await client.greeted()
        await socket.send_str(SUBSCRIBE)
        await socket.send_str(f'smd+{CAPTURE_CONID}+{{"fields":["31"]}}')
        await socket.send_str(f"sbd+DU1000001+{conid}")
        messages = await receive_until(socket, of_topic(f"sbd+DU1000001+{conid}"))
        messages += await receive_until(socket, lambda message: "hb" in message)
        synthetic = [m for m in messages if str(CAPTURE_CONID) in str(m.get("topic"))]
        assert synthetic == [], "this contract shows the recording and nothing else"


async def test_other_paper_users_keep_the_synthetic_market(tmp_path: Path) -> None:
    async with running(replaying(tmp_path), "beta", QUICK) as client:
        months = (await client.json("GET", "/trsrv/futures?symbols=CL"))["CL"]
        conid = min(months, key=lambda month: month["expirationDate"])["conid"]
        assert conid != CAPTURE_CONID
        assert (await client.json("GET", "/simulator/record"))["replay"] is None
        socket = await client.greeted()
        await socket.send_str(f"sbd+DU1000002+{conid}")
        await receive_until(socket, of_topic(f"sbd+DU1000002+{conid}"))


async def test_another_paper_user_can_play_it(tmp_path: Path) -> None:
    config = replaying(tmp_path, replay_paper_user="beta")
    async with running(config, "beta") as client:
        socket = await client.greeted()
        await socket.send_str(f"sbd+DU1000002+{CAPTURE_CONID}")
        assert await receive_all(socket, 50) == INBOUND[:50], "as recorded, account and all"
    async with running(config, "alpha") as client:
        assert (await client.json("GET", "/simulator/record"))["replay"] is None


@pytest.mark.parametrize("text", ["not json\n", '{"t":"2026-01-01T00:00:00Z","dir":"in"}\n'])
async def test_a_bad_capture_is_refused_before_the_port_opens(tmp_path: Path, text: str) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(text)
    with pytest.raises(ConfigurationError, match=r"bad\.jsonl, line 1"):
        async with running(replaying(tmp_path, replay=bad)):
            pass


async def test_a_capture_of_an_unlisted_symbol_is_refused(tmp_path: Path) -> None:
    lines = ['{"topic":"sbd+DU1+42","data":[]}', '{"topic":"smd+42","55":"XYZ"}']
    strange = tmp_path / "strange.jsonl"
    strange.write_text(
        "".join(
            json.dumps({"t": "2026-01-01T00:00:00Z", "dir": "in", "msg": text}) + "\n"
            for text in lines
        )
    )
    with pytest.raises(ConfigurationError, match="plays XYZ .* Known symbols: CL, ES"):
        async with running(replaying(tmp_path, replay=strange)):
            pass


def capture_of(*pauses: float) -> Capture:
    messages = tuple(RecordedMessage(p, str(n).encode()) for n, p in enumerate(pauses))
    return Capture(messages, (RecordedContract(42, "CL"),))


@pytest.mark.parametrize(
    ("speed", "max_pause", "pauses"),
    [
        (1.0, None, [0.0, 2.0, 600.0]),
        (60.0, None, [0.0, 2 / 60, 10.0]),
        (60.0, 0.5, [0.0, 2 / 60, 0.5]),
        (0.5, None, [0.0, 4.0, 1200.0]),
        (0.5, 3.0, [0.0, 3.0, 3.0]),
    ],
)
def test_pauses_are_scaled_and_cut(
    speed: float, max_pause: float | None, pauses: list[float]
) -> None:
    replay = Replay(capture_of(0.0, 2.0, 600.0), speed=speed, max_pause=max_pause)
    assert [replay.pause_before(number) for number in range(replay.total)] == pauses


def test_the_demo_replay_lasts_about_a_hundred_seconds() -> None:
    replay = Replay(load_capture(capture_path()), speed=60, max_pause=0.5)
    assert 60 < sum(replay.pause_before(number) for number in range(replay.total)) < 120


class ListOutlet:
    """An outlet that breaks after some messages."""

    def __init__(self, breaks_after: int) -> None:
        self.received: list[bytes] = []
        self.broken = asyncio.Event()
        self._left = breaks_after

    async def send(self, payload: bytes, *, as_text: bool = False) -> None:
        if self._left == 0:
            self.broken.set()
            raise ConnectionResetError
        self._left -= 1
        self.received.append(payload)


async def test_a_failed_send_is_repeated_on_the_next_websocket() -> None:
    replay = Replay(capture_of(*[0.0] * 10), speed=1, max_pause=None)
    outlets, first, second = Outlets(), ListOutlet(4), ListOutlet(100)
    outlets.add(first)
    replay.start()
    playing = asyncio.create_task(replay.run(outlets, ScaledClock()))
    async with asyncio.timeout(TIMEOUT):
        await first.broken.wait()
        assert replay.sent == 4, "what could not be written does not count"
        outlets.add(second)
        await playing
    assert first.received + second.received == [str(n).encode() for n in range(10)]
    assert replay.sent == replay.total


async def test_the_newest_websocket_gets_the_messages() -> None:
    outlets, old, new = Outlets(), ListOutlet(9), ListOutlet(9)
    outlets.add(old)
    outlets.add(new)
    assert await outlets.newest() is new
    outlets.remove(new)
    assert await outlets.newest() is old
    outlets.remove(old)
    outlets.remove(old)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(outlets.newest(), 0.01)
