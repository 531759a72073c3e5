"""The control endpoint, from outside: what it shows, what it takes, what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.errors import ConfigurationError, GatewayError
from ib_platform.simulator import control_client
from ib_platform.simulator.app import control_listening
from ib_platform.simulator.drill import Player
from ib_platform.simulator.fault_kinds import SPECS, FaultKind
from ib_platform.simulator.scenario_library import scenario_names
from ib_platform.simulator.users import simulated_password
from ib_platform_tests.ports import free_port
from ib_platform_tests.simulator.client import USER
from ib_platform_tests.simulator.drilled import USERNAMES, Drilled, drilled
from ib_platform_tests.simulator.sockets import conid_of, streaming
from ib_platform_tests.support import make_config


class Control:
    """Calls to the control endpoint of a running simulation."""

    def __init__(self, drill: Drilled, port: int, http: aiohttp.ClientSession) -> None:
        self.drill = drill
        self.port = port
        self._http = http

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self._http.request(
            method, f"http://127.0.0.1:{self.port}{path}", **options
        ) as answer:
            return answer.status, json.loads(await answer.read())

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def inject(self, kind: str, **values: Any) -> Any:
        status, body = await self.call("POST", "/faults", json={"fault": kind} | values)
        assert status == 201, body
        return body


@asynccontextmanager
async def controlled(folder: Path, scenario: str = "access_denied") -> AsyncIterator[Control]:
    async with drilled(folder, scenario) as drill:
        player = Player(drill.world, USERNAMES)
        async with (
            control_listening(drill.world, USERNAMES, player, port=0) as listener,
            aiohttp.ClientSession() as http,
        ):
            yield Control(drill, listener.port, http)
            player.stop()


async def test_help_lists_the_calls(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        calls = await control.get("/")
        assert {"GET /state", "POST /faults", "DELETE /faults", "POST /scenario"} <= set(calls)


async def test_state_shows_everything_but_secrets(tmp_path: Path) -> None:
    async with controlled(tmp_path, "totp_trap") as control:
        drill = control.drill
        login = drill.world.log_in(drill.face.user, fresh=False)
        drill.face.login = login
        await control.inject("silent_ladder", symbol="CL", **{"for": "30s"})
        await control.inject("penalty_box")
        state = await control.get("/state")
        alpha, beta = state["users"]
        assert (alpha["paper_user"], alpha["username"], alpha["kind"]) == (
            "alpha",
            "papera01",
            "paper",
        )
        assert alpha["logins"] == [
            {"connected": True, "authenticated": False, "competing": False, "ladders": []}
        ]
        assert beta["logins"] == []
        assert beta["locked"] is False
        assert [fault["fault"] for fault in state["faults"]] == ["silent_ladder"]
        assert state["penalties"]["everybody"] > 100
        assert state["clock"]["elapsed"] >= 0
        shown = json.dumps(state)
        for secret in (login.token, login.session_id, simulated_password(USER.username)):
            assert secret not in shown


async def test_state_and_record_show_ladders(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        drill = control.drill
        await drill.client.authenticate()
        await streaming(drill.client, drill.face, "CL", "ES")
        alpha, _ = (await control.get("/state"))["users"]
        assert alpha["logins"][0]["authenticated"]
        assert alpha["logins"][0]["ladders"] == ["CL", "ES"]
        record = await control.get("/record")
        assert record["papera01"]["ladder_frames_sent"][str(conid_of(drill.face, "CL"))] >= 1
        assert record["paperb02"]["frames_sent"] == 0


async def test_a_fault_bites_ends_and_is_listed(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        client, (_, other) = control.drill.client, control.drill.clients
        begun = await control.inject("access_denied", paper_user="alpha")
        assert begun["username"] == "papera01"
        assert begun["remaining"] is None
        assert not begun["instant"]
        assert (await client.call("GET", "/tickle"))[0] == 403
        assert (await other.call("GET", "/tickle"))[0] == 200
        active = (await control.get("/faults"))["active"]
        assert [fault["number"] for fault in active] == [begun["number"]]
        assert await control.call("DELETE", f"/faults/{begun['number']}") == (200, {"ended": 1})
        assert (await client.call("GET", "/tickle"))[0] == 200
        status, body = await control.call("DELETE", f"/faults/{begun['number']}")
        assert status == 404
        assert "no active fault" in body["error"]


async def test_for_is_simulated_time_and_clear_ends_all(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        await control.inject("half_open", **{"for": "1h"})
        await control.inject("no_heartbeats", username="paperb02")
        control.drill.clock.jump(3601)
        kinds = [fault["fault"] for fault in (await control.get("/faults"))["active"]]
        assert kinds == ["no_heartbeats"]
        assert await control.call("DELETE", "/faults") == (200, {"ended": 1})
        assert (await control.get("/faults"))["active"] == []


async def test_the_kinds(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        kinds = await control.get("/faults/kinds")
        assert set(kinds) == set(FaultKind)
        closed = kinds["websocket_closed"]
        assert closed["parameters"] == {"code": 1001}
        assert closed["does"] == SPECS[FaultKind.WEBSOCKET_CLOSED].does


async def test_a_scenario_is_played_and_stopped(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:
        assert set(await control.get("/scenarios")) == set(scenario_names())
        status, playing = await control.call("POST", "/scenario", json={"name": "not_entitled"})
        assert status == 201
        assert playing == {"playing": "not_entitled", "faults": 1, "not_applied": []}
        assert control.drill.world.faults.begun == 1, "the answer comes later than its beginning"
        status, playing = await control.call("POST", "/scenario", json={"name": "penalty_box"})
        assert playing["not_applied"] == ["behaviour"]
        assert (await control.get("/state"))["playing"] == ["penalty_box"]
        assert await control.call("DELETE", "/scenario") == (200, {"stopped": ["penalty_box"]})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "fault: Field required"),
        ({"fault": "silent_lader"}, "did you mean 'silent_ladder'"),
        ({"fault": 5}, "fault"),
        ({"fault": "half_open", "fo": 5}, "fo"),
        ({"fault": "half_open", "for": -5}, "for"),
        ({"fault": "half_open", "for": "soon"}, "is no duration"),
        ({"fault": "half_open", "symbol": "CL"}, "cannot be limited to a symbol"),
        ({"fault": "half_open", "paper_user": "gamma"}, "known: alpha, beta"),
        ({"fault": "half_open", "username": "x"}, "known: papera01"),
        ({"fault": "silent_ladder", "symbol": "XX"}, "known: CL"),
        ({"fault": "half_open", "every": 5}, "with 'every' it needs 'for'"),
        ({"fault": "echo_text", "every": 5}, "belong into a scenario"),
        ({"fault": "echo_text", "at": 5}, "belong into a scenario"),
        ({"fault": "websocket_closed", "for": 5}, "takes no 'for'"),
        ({"fault": "websocket_closed", "parameters": {"code": 1}}, "between 1000 and 4999"),
        ({"fault": "websocket_closed", "parameters": [1]}, "parameters"),
        ([], "send a JSON object"),
        ("x", "send a JSON object"),
        (None, "send a JSON object"),
    ],
)
async def test_a_wrong_fault_is_refused_with_its_reason(
    tmp_path: Path, body: Any, words: str
) -> None:
    async with controlled(tmp_path) as control:
        status, answer = await control.call("POST", "/faults", json=body)
        assert status == 400
        assert words in answer["error"]
        assert control.drill.world.faults.begun == 0


@pytest.mark.parametrize("name", ["nope", 5, None, "../x", "/etc/passwd"])
async def test_a_wrong_scenario_is_refused(tmp_path: Path, name: Any) -> None:
    async with controlled(tmp_path) as control:
        status, answer = await control.call("POST", "/scenario", json={"name": name})
        assert status == 400
        assert "flaky_evening" in answer["error"]


@pytest.mark.parametrize(
    "options",
    [
        {"data": b'{"fault":"half_open"}', "headers": {"Content-Type": "text/plain"}},
        {"data": {"fault": "half_open"}},
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        {"data": b"[" * 50_000, "headers": {"Content-Type": "application/json"}},
        {"data": b"\xff", "headers": {"Content-Type": "application/json"}},
        {"json": {"fault": "half_open"}, "headers": {"Host": "evil.example"}},
        {"json": {"fault": "half_open"}, "headers": {"Host": "127.0.0.1.evil.example:80"}},
        {"json": {"fault": "half_open"}, "headers": {"Host": "[::1"}},
        {"json": {"fault": "x" * 200_000}},
    ],
)
async def test_no_web_page_and_no_nonsense_gets_through(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    async with controlled(tmp_path) as control:
        status, answer = await control.call("POST", "/faults", **options)
        assert 400 <= status < 500
        assert answer["error"]
        assert control.drill.world.faults.begun == 0
        assert await control.get("/faults") == {"active": []}


async def test_a_name_that_resolves_here_is_no_loopback_name(tmp_path: Path) -> None:
    """A web page of evil.example that points its name to 127.0.0.1 reads nothing either."""
    async with controlled(tmp_path) as control:
        status, _ = await control.call("GET", "/state", headers={"Host": "evil.example"})
        assert status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/faults", 405), ("DELETE", "/faults/x", 404)],
)
async def test_other_calls(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with controlled(tmp_path) as control:
        found, answer = await control.call(method, path)
        assert found == status
        assert answer["error"]


async def test_the_client_side(tmp_path: Path) -> None:
    async with controlled(tmp_path) as control:

        async def call(*arguments: Any) -> Any:
            return await asyncio.to_thread(control_client.call, control.port, *arguments)

        begun = await call("POST", "/faults", {"fault": "half_open"})
        assert begun["fault"] == "half_open"
        with pytest.raises(ConfigurationError, match="did you mean 'half_open'"):
            await call("POST", "/faults", {"fault": "half_opn"})
        assert await call("DELETE", "/faults") == {"ended": 1}
    with pytest.raises(GatewayError, match="no simulator answers"):
        await call("GET", "/state")


async def test_something_else_listens_on_the_port() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        with pytest.raises(GatewayError, match="not the control endpoint"):
            await asyncio.to_thread(control_client.call, port, "GET", "/state")


def test_settings_of_the_command_line() -> None:
    settings = control_client.settings_of(["code=1006", "latency=0.5", "text=a=b", "path=/"])
    assert settings == {"code": 1006, "latency": 0.5, "text": "a=b", "path": "/"}
    for wrong in ("code", "=5"):
        with pytest.raises(ConfigurationError, match="NAME=VALUE"):
            control_client.settings_of([wrong])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": 1}', '{"port": "x", "pid": 1}', "null"])
def test_a_note_that_is_none(tmp_path: Path, text: str) -> None:
    config = make_config(tmp_path)
    note = tmp_path / "pods" / "alpha" / "simulator.json"
    note.parent.mkdir(parents=True)
    note.write_text(text)
    with pytest.raises(GatewayError, match="no simulator runs for alpha"):
        control_client.control_ports(config, "alpha")
    with pytest.raises(ConfigurationError, match="known: alpha, beta"):
        control_client.control_ports(config, "gamma")
