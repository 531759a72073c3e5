"""Many websocket clients of one simulator process on one core: lag, frames, memory.

python -m benchmarks simulator        # CLIENTS=200 LADDERS=6 SECONDS=60 by default

The process is pinned to the first core that this one may use, the clients stay on the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import psutil

from benchmarks.ladder_figures import quantile
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.behaviour import Behaviour

CLIENTS = int(os.environ.get("CLIENTS", "200"))
LADDERS = int(os.environ.get("LADDERS", "6"))
SECONDS = float(os.environ.get("SECONDS", "60"))
SETTLE_SECONDS = 10.0
HOUR_CLIENTS = 4
HOUR_SCALE = 60.0
CADENCE = Behaviour().cadence


def run() -> None:
    """Many websocket clients of one simulator process on one core: lag, frames, memory."""
    asyncio.run(_at_observed_cadence())
    asyncio.run(_an_hour())


@dataclass
class Server:
    """The running simulator process and its answers."""

    process: subprocess.Popen[str]
    hello: dict[str, Any]

    def late(self) -> list[float]:
        """Milliseconds by which its sleepers woke late, since the last call."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: list[float] = self._line()["late"]
        return found

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line


@dataclass
class Seen:
    """What one client received: instants of its ladder frames, and of bursts of them."""

    frames: int = 0
    payload_bytes: int = 0
    instants: list[float] = field(default_factory=list)

    def off_grid(self) -> list[float]:
        """Milliseconds by which the pause between two bursts misses a multiple of the cadence."""
        bursts = [at for at, before in zip(self.instants[1:], self.instants, strict=False)
                  if at - before > CADENCE / 3]  # fmt: skip
        pauses = [after - before for after, before in zip(bursts[1:], bursts, strict=False)]
        return [abs(p - CADENCE * round(p / CADENCE)) * 1000 for p in pauses]


async def _at_observed_cadence() -> None:
    with TemporaryDirectory() as name:
        async with _simulator(Path(name), CLIENTS, 1.0) as (server, sockets):
            seen = [Seen() for _ in sockets]
            readers = [
                asyncio.create_task(_read(*pair)) for pair in zip(sockets, seen, strict=True)
            ]
            await asyncio.sleep(SETTLE_SECONDS)
            await asyncio.to_thread(server.late)
            for one in seen:
                one.frames, one.payload_bytes = 0, 0
                one.instants.clear()
            process = psutil.Process(server.process.pid)
            busy, began = sum(process.cpu_times()[:2]), time.perf_counter()
            await asyncio.sleep(SECONDS)
            took = time.perf_counter() - began
            busy = sum(process.cpu_times()[:2]) - busy
            late = await asyncio.to_thread(server.late)
            for reader in readers:
                reader.cancel()
    frames = sum(one.frames for one in seen)
    size = sum(one.payload_bytes for one in seen) / max(1, frames)
    points = CLIENTS * took / CADENCE
    print(f"{CLIENTS} clients with {LADDERS} ladders each, {took:.0f} s, simulator on one core")
    print(f"{frames / took:,.0f} ladder frames/s of {size:.0f} bytes, core {busy / took:.0%} busy")
    print(f"grid points kept: {len(late) / points:.1%} of {points:,.0f}")
    _percentiles("a connection wakes after its grid point, ms", late)
    _percentiles(
        "frames reach the client off the grid, ms", [v for s in seen for v in s.off_grid()]
    )


async def _an_hour() -> None:
    print(f"\nan hour at {HOUR_SCALE:g} times the speed, {HOUR_CLIENTS} clients: resident MB")
    with TemporaryDirectory() as name:
        async with _simulator(Path(name), HOUR_CLIENTS, HOUR_SCALE) as (server, sockets):
            seen = [Seen() for _ in sockets]
            readers = [
                asyncio.create_task(_read(*pair)) for pair in zip(sockets, seen, strict=True)
            ]
            process = psutil.Process(server.process.pid)
            for minute in range(0, 61, 10):
                await asyncio.to_thread(server.late)
                frames = sum(one.frames for one in seen)
                resident = process.memory_info().rss / 1e6
                print(f"minute {minute:2}: {resident:6.1f} MB after {frames:,} frames")
                for one in seen:
                    one.instants.clear()
                await asyncio.sleep(0 if minute == 60 else 600 / HOUR_SCALE)
            for reader in readers:
                reader.cancel()


def _percentiles(name: str, values: list[float]) -> None:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    texts = [f"{label} {quantile(values, share):.1f}" for label, share in shares.items()]
    print(f"{name}: {'  '.join(texts)}  max {max(values, default=float('nan')):.1f}")


@asynccontextmanager
async def _simulator(
    folder: Path, clients: int, scale: float
) -> AsyncIterator[tuple[Server, list[aiohttp.ClientWebSocketResponse[bool]]]]:
    """A pinned simulator process and its clients, every ladder requested."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[1:]) or set(cores))
    process = _started(folder, clients, scale, cores[0])
    try:
        assert process.stdout is not None
        server = Server(process, json.loads(await asyncio.to_thread(process.stdout.readline)))
        connector = aiohttp.TCPConnector(
            ssl=client_ssl_context(folder / "gateway.pem"), limit=clients + 1
        )
        async with aiohttp.ClientSession(connector=connector) as http:
            yield server, [await _subscribed(http, server.hello, n) for n in range(clients)]
    finally:
        process.kill()
        process.wait()
        os.sched_setaffinity(0, set(cores))


def _started(folder: Path, clients: int, scale: float, core: int) -> subprocess.Popen[str]:
    arguments = [str(folder), str(clients), str(LADDERS), str(scale), str(core)]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.simulator_server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def _subscribed(
    http: aiohttp.ClientSession, hello: dict[str, Any], number: int
) -> aiohttp.ClientWebSocketResponse[bool]:
    """A websocket that has shown its ``sts`` and was asked for every ladder."""
    socket = await http.ws_connect(f"wss://127.0.0.1:{hello['ports'][number]}/v1/api/ws")
    while b'"sts"' not in (await socket.receive_bytes()):
        pass
    for conid in hello["conids"]:
        await socket.send_str(f"sbd+{hello['accounts'][number]}+{conid}")
    return socket


async def _read(socket: aiohttp.ClientWebSocketResponse[bool], seen: Seen) -> None:
    async for message in socket:
        if message.data.startswith(b'{"topic":"sbd'):
            seen.frames += 1
            seen.payload_bytes += len(message.data)
            seen.instants.append(time.perf_counter())
