"""Recorded REST answers: which are served again, and how they reach a client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ib_platform.ibkr.capture_file import CaptureWriter
from ib_platform.ibkr.capture_format import Exchange, frame_line
from ib_platform.simulator.recorded_exchanges import RecordedExchanges
from ib_platform_tests.ibkr.test_capture_format import AT, HEADER
from ib_platform_tests.simulator.test_replay import replaying, running

CONID = 42


def exchange(path: str, body: str = "{}", query: str = "", status: int | None = 200) -> Exchange:
    return Exchange(
        t=AT,
        ns=0,
        took_ns=0,
        method="GET",
        path=path,
        query=query,
        status=status,
        headers={"Content-Type": "application/json"},
        body=body,
    )


def body_of(recorded: Exchange | None) -> str | None:
    return None if recorded is None else recorded.body


def test_a_question_is_answered_whatever_the_order_of_its_parts() -> None:
    answers = RecordedExchanges([exchange("/trsrv/futures", "1", "symbols=CL&x=1")])
    assert body_of(answers.take("GET", "/trsrv/futures", "x=1&symbols=CL")) == "1"
    assert answers.take("GET", "/trsrv/futures", "symbols=ES&x=1") is None
    assert answers.take("POST", "/trsrv/futures", "symbols=CL&x=1") is None


def test_several_answers_come_in_order_and_the_last_stays() -> None:
    path = "/iserver/marketdata/snapshot"
    answers = RecordedExchanges([exchange(path, text) for text in ("1", "2", "3")])
    given = [body_of(answers.take("GET", path, "")) for _ in range(5)]
    assert given == ["1", "2", "3", "3", "3"]


@pytest.mark.parametrize(
    "left_out",
    [
        exchange("/iserver/accounts"),
        exchange("/tickle"),
        exchange("/sso/validate"),
        exchange("/iserver/auth/status"),
        exchange("/trsrv/futures", status=401),
        exchange("/trsrv/futures", status=429),
        exchange("/trsrv/futures", status=503),
        exchange("/trsrv/futures", status=None),
    ],
)
def test_the_session_is_not_replayed(left_out: Exchange) -> None:
    answers = RecordedExchanges([left_out])
    assert len(answers) == 0
    assert answers.take("GET", left_out.path, "") is None


INFO = {"con_id": CONID, "symbol": "HO", "exchange": "NYMEX", "rules": {"increment": 0.0001}}
FUTURES = '{ "HO" : [{"conid":42,"expirationDate":20201231,"ltd":20201230}]}'


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Heating oil, which the simulator does not list, long expired."""
    path = tmp_path / "heating_oil.jsonl.gz"
    writer = CaptureWriter(path, HEADER)
    info = f"/iserver/contract/{CONID}/info-and-rules"
    writer.write(exchange("/trsrv/futures", FUTURES, "symbols=HO"))
    writer.write(exchange(info, json.dumps(INFO, indent=1)))
    writer.write(exchange("/iserver/contract/43/info", '{"error":"gone"}', status=404))
    text = f'{{"topic":"sbd+DU1000001+{CONID}","data":[]}}'
    writer.write(frame_line(AT, 1, "in", text.encode(), text=False, connection=1))
    writer.close()
    return path


async def answers(folder: Path, **options: Any) -> list[tuple[int, bytes]]:
    async with running(replaying(folder, **options)) as client:
        return [
            await client.call("GET", "/trsrv/futures?symbols=HO"),
            await client.call("GET", f"/iserver/contract/{CONID}/info-and-rules"),
            await client.call("GET", "/iserver/contract/43/info"),
            await client.call("GET", "/trsrv/futures?symbols=CL"),
        ]


async def test_recorded_answers_are_served_as_they_were(tmp_path: Path, capture: Path) -> None:
    futures, info, gone, other = await answers(tmp_path, replay=capture, replay_rest=True)
    assert futures == (200, FUTURES.encode())
    assert info == (200, json.dumps(INFO, indent=1).encode())
    assert gone == (404, b'{"error":"gone"}')
    assert list(json.loads(other[1])) == ["CL"], "what was not recorded is the simulator's own"


async def test_without_the_option_the_simulator_answers(tmp_path: Path, capture: Path) -> None:
    futures, info, _, _ = await answers(tmp_path, replay=capture)
    [month] = json.loads(futures[1])["HO"]
    assert month["conid"] == CONID
    assert month["expirationDate"] > 20261101, "a past contract is listed as one that trades"
    answer = json.loads(info[1])
    assert (answer["symbol"], answer["exchange"]) == ("HO", "NYMEX")
    assert answer["rules"]["increment"] == 0.0001


async def test_a_login_is_needed_as_ever(tmp_path: Path, capture: Path) -> None:
    async with running(replaying(tmp_path, replay=capture, replay_rest=True)) as client:
        await client.json("POST", "/logout")
        status, _ = await client.call("GET", f"/iserver/contract/{CONID}/info-and-rules")
        assert status in (400, 401)


async def test_other_users_get_the_simulators_answers(tmp_path: Path, capture: Path) -> None:
    config = replaying(tmp_path, replay=capture, replay_rest=True)
    async with running(config, "beta") as client:
        body = await client.json("GET", "/trsrv/futures?symbols=CL")
        assert list(body) == ["CL"]
