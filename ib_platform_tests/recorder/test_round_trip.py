"""``ib-platform record`` as a process, and its file played again: nothing lost, nothing told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig, dump_config
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_file import read_capture_file
from ib_platform.ibkr.capture_format import Frame
from ib_platform.paths import PodPaths
from ib_platform.simulator import shapes
from ib_platform.simulator.wire import Wire
from ib_platform_tests.recorder.gateways import (
    ACCOUNT,
    NAMES,
    USERNAME,
    Made,
    secret_config,
    secret_gateway,
)
from ib_platform_tests.simulator.client import TIMEOUT
from ib_platform_tests.simulator.test_replay import done, receive_all, replaying, running
from ib_platform_tests.support import capture_messages

MAC = "98:F2:B3:23:BF:A0"
_SESSION_ID = re.compile(rb'"sessionId":"[^"]*"')


@asynccontextmanager
async def recorder(
    config: PlatformConfig, out: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, killed if the test leaves it running."""
    file = config.runtime.state_dir / "ib_platform.yaml"
    file.write_text(dump_config(config))
    command = ("record", "--config", str(file), "--paper-user", "alpha", "--out", str(out))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from ib_platform.cli import main; main()",
        *command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def at_url(config: PlatformConfig) -> tuple[str, ...]:
    """The user's gateway, named by hand: then there is no pod beside it to be considerate of."""
    certificate = PodPaths(config.runtime.state_dir, "alpha").certificate
    url = f"https://127.0.0.1:{config.paper_user('alpha').gateway_port}"
    return "--url", url, "--certificate", str(certificate)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(TIMEOUT):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def growing_to(out: Path, inbound: int) -> None:
    """Wait until so many inbound messages are in the file."""
    async with asyncio.timeout(TIMEOUT):
        # Its first bytes come after its name.
        while not out.exists() or not out.stat().st_size or len(inbound_of(out)) < inbound:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def inbound_of(out: Path) -> list[bytes]:
    lines = read_capture_file(out, allow_torn=True).lines
    return [line.payload for line in lines if isinstance(line, Frame) and line.dir == "in"]


def by_hand(payload: bytes) -> bytes:
    """What the mask has to make of a frame of the simulator, without asking the mask."""
    text = payload.replace(ACCOUNT.encode(), b"DU1000001").replace(USERNAME.encode(), b"papera01")
    text = text.replace(shapes.SERVER_NAME.encode(), b"JifZ00001")
    return _SESSION_ID.sub(b'"sessionId":"..."', text)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that the simulator writes to its websockets, as it writes it."""
    frames: list[bytes] = []
    send = Wire.send

    async def spied(self: Wire, payload: bytes, *, as_text: bool = False) -> None:
        await send(self, payload, as_text=as_text)
        frames.append(payload)

    monkeypatch.setattr(Wire, "send", spied)
    return frames


async def test_from_gateway_to_file_to_gateway(
    tmp_path: Path, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "MAC", MAC)
    monkeypatch.setattr(shapes, "_HARDWARE", f"5afe0001|{MAC}")
    out = tmp_path / "session.jsonl.gz"
    recorded_folder, replayed_folder = tmp_path / "recorded", tmp_path / "replayed"
    recorded_folder.mkdir()
    replayed_folder.mkdir()
    async with secret_gateway(recorded_folder) as (config, face):
        arguments = ("--symbols", "CL,ES", "--for", "3s", *at_url(config))
        async with recorder(config, out, *arguments) as process:
            code, output, errors = await ended(process)
        assert face.login is not None
        secrets = [*NAMES, face.login.session_id, face.login.token, MAC, shapes.SERVER_NAME]
    assert (code, "messages in" in output) == (0, True), errors
    assert out.stat().st_mode & 0o777 == 0o600

    # Everything that was sent is in the file, in order, byte for byte but for the masks.
    made = Made(out)
    expected = [by_hand(payload) for payload in sent[: len(made.inbound)]]
    assert [_SESSION_ID.sub(b'"sessionId":"..."', payload) for payload in made.inbound] == expected
    assert len(made.inbound) > 50
    # Only what was under way when it said goodbye may be missing.
    assert len(sent) - len(made.inbound) < 20

    # Nothing that identifies anybody is in the file, nor on the terminal.
    text = "".join(map(str, (made.file.header, *made.lines)))
    assert "hardware_info" in text
    for secret in secrets:
        assert secret not in text
        assert secret not in output + errors

    # The file plays: what a client gets is what is in the file.
    config = replaying(replayed_folder, replay=out)
    async with running(config) as client:
        months = (await client.json("GET", "/trsrv/futures?symbols=CL"))["CL"]
        front = min(months, key=lambda month: int(month["expirationDate"]))
        assert front["conid"] == made.notes("contract")[0].data["conid"]
        socket = await client.greeted()
        await socket.send_str(f"sbd+DU1000001+{front['conid']}")
        assert await receive_all(socket, len(made.inbound)) == made.inbound
        await done(client)


async def test_a_recorded_recording(tmp_path: Path) -> None:
    """The capture from the real gateway, played, recorded and played again: the same frames."""
    (tmp_path / "a").mkdir()
    original = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    out = tmp_path / "again.jsonl.gz"
    config = replaying(tmp_path / "a")
    async with running(config) as client:
        certificate = config.runtime.state_dir / "gateway.pem"
        url = f"https://127.0.0.1:{client.port}"
        arguments = ("--symbols", "CL", "--url", url, "--certificate", str(certificate))
        async with recorder(config, out, *arguments) as process:
            await done(client)
            await growing_to(out, len(original))
            process.send_signal(signal.SIGTERM)
            code, _, errors = await ended(process)
    assert code == 0, errors
    played = [_SESSION_ID.sub(b'"sessionId":"..."', text) for text in original]
    # The simulator's own server came first in this session.
    inbound = [text.replace(b"JifZ00002", b"JifZ00001") for text in inbound_of(out)]
    again = [_SESSION_ID.sub(b'"sessionId":"..."', text) for text in inbound]
    begin = again.index(played[3])
    assert again[begin - 3 : begin - 3 + len(played)] == played


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "c.jsonl.gz"
    async with (
        secret_gateway(tmp_path) as (config, _),
        recorder(config, out, "--symbols", "CL", *at_url(config)) as process,
    ):
        await growing_to(out, 10)
        process.send_signal(number)
        code, output, errors = await ended(process)
    assert code == 0, errors
    assert "Traceback" not in errors
    made = Made(out)
    assert made.file.torn is None
    assert made.note("end").text == "told to end"
    assert f"{len(made.inbound)} messages in" in output


async def test_a_killed_recorder_leaves_a_file_that_plays(tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl.gz"
    (tmp_path / "replayed").mkdir()
    async with (
        secret_gateway(tmp_path) as (config, _),
        recorder(config, out, "--symbols", "CL", *at_url(config)) as process,
    ):
        await growing_to(out, 30)
        os.kill(process.pid, signal.SIGKILL)
        code, _, _ = await ended(process)
    assert code == -signal.SIGKILL
    with pytest.raises(ConfigurationError, match=r"c\.jsonl\.gz, line .* ends in the middle"):
        async with running(replaying(tmp_path / "replayed", replay=out)):
            pass
    inbound = inbound_of(out)
    assert len(inbound) >= 30
    async with running(replaying(tmp_path / "replayed", replay=out, replay_torn=True)) as client:
        socket = await client.greeted()
        await socket.send_str("sbd+DU1000001+1")
        assert await receive_all(socket, len(inbound)) == inbound


REFUSALS: list[tuple[tuple[str, ...], int, str]] = [
    (("--for", "soon"), 2, "--for: 'soon' is not a duration"),
    (("--experiment", "magic"), 2, "--experiment: unknown 'magic'"),
    (("--url", "https://example.com:5000"), 2, "--url: expected one like https://127.0.0.1:5000"),
    (("--certificate", "absent.pem"), 6, "absent.pem: no usable gateway certificate"),
    ((), 6, "no usable gateway certificate"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSALS)
async def test_refusals_are_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    out = tmp_path / "c.jsonl"
    async with recorder(secret_config(tmp_path), out, *arguments) as process:
        found, _, errors = await ended(process)
    assert found == code
    assert message in errors
    assert errors.count("\n") == 1
    assert not out.exists()
