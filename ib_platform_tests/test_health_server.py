"""The health endpoint that gateway and streamer share, over a real socket."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Gauge

from ib_platform.errors import PlatformInUseError
from ib_platform.health_server import Probes, serve_health
from ib_platform_tests.pod_processes import http_get
from ib_platform_tests.ports import free_port
from ib_platform_tests.scrape import OPEN_METRICS, scrape


class Answer(msgspec.Struct):
    word: str


class Switch:
    """Probes that a test flips."""

    def __init__(self) -> None:
        self.on = False

    def probes(self) -> Probes:
        look = lambda: self.on  # noqa: E731
        return Probes(look, look, look, lambda: Answer("hello"))


async def _get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    answer = await asyncio.to_thread(http_get, port, path, method)
    assert answer is not None
    return answer


@pytest.mark.parametrize("path", ["/startup", "/live", "/ready"])
async def test_probes_answer_200_or_503(path: str) -> None:
    port, switch = free_port(), Switch()
    async with serve_health(port, switch.probes()):
        assert await _get(port, path) == (503, b"no\n")
        switch.on = True
        assert await _get(port, path) == (200, b"ok\n")


async def test_status_is_the_json_of_the_struct() -> None:
    port = free_port()
    async with serve_health(port, Switch().probes()):
        assert await _get(port, "/status") == (200, b'{"word":"hello"}')


async def test_metrics_are_those_of_the_registry_that_was_given_and_no_others() -> None:
    port, registry = free_port(), CollectorRegistry()
    Gauge("ours", "Ours", registry=registry).set(7)
    async with serve_health(port, Switch().probes(), registry):
        kind, text = await asyncio.to_thread(scrape, port, "text/plain")
        assert kind.startswith("text/plain; version=")
        assert text == "# HELP ours Ours\n# TYPE ours gauge\nours 7.0\n"
        kind, text = await asyncio.to_thread(scrape, port, OPEN_METRICS)
        assert kind.startswith("application/openmetrics-text; version=")
        assert text.endswith("ours 7.0\n# EOF\n")


async def test_without_a_registry_there_are_no_metrics() -> None:
    port = free_port()
    async with serve_health(port, Switch().probes()):
        assert await _get(port, "/metrics") == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/startup", "/live", "/ready", "/status", "/metrics"])
async def test_there_are_no_commands(path: str, method: str) -> None:
    port = free_port()
    async with serve_health(port, Switch().probes()):
        assert (await _get(port, path, method))[0] == 405


@pytest.mark.parametrize("path", ["/", "/v1/api/tickle", "/stop", "/status/x"])
async def test_there_are_no_other_routes(path: str) -> None:
    port = free_port()
    async with serve_health(port, Switch().probes()):
        assert (await _get(port, path))[0] == 404


async def test_a_taken_port_is_named_and_the_port_is_free_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PlatformInUseError, match=f"127.0.0.1:{port} is taken"):
            async with serve_health(port, Switch().probes()):
                pass
    async with serve_health(port, Switch().probes()):
        assert (await _get(port, "/status"))[0] == 200
    assert await asyncio.to_thread(http_get, port, "/status") is None
