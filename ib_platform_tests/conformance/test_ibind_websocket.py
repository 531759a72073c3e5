"""ibind's websocket client against the simulator: its typed events, states and bindings.

Times are ibind's own: it reconnects 5 s after a close, looks at its health every 10 s and misses
heartbeats after 20 s (``IBIND_WS_MAX_PING_INTERVAL``, made shorter where a test says so).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_platform_tests.conformance.ibind_client import Event, IbindClient, RefusedError, ibind
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.support import wait_until

ROWS = 21
FIELDS = ["31", "84", "86"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SimulatorProcess]:
    with simulator(tmp_path) as running:
        yield running


@pytest.fixture
def client(running: SimulatorProcess) -> Iterator[IbindClient]:
    with ibind(running) as client:
        yield client


def _start(client: IbindClient, running: SimulatorProcess) -> None:
    client.rest("initialize_brokerage_session")
    wait_until(lambda: running.session()["authenticated"], "a brokerage session")
    assert client.do("start") is True
    client.event("WsAuthenticated")
    assert client.do("state") == "AUTHENTICATED"


def _front(client: IbindClient, symbol: str = "CL") -> str:
    months = client.rest("security_future_by_symbol", symbols=[symbol])[symbol]
    return str(min(months, key=lambda month: month["expirationDate"])["conid"])


def _is_full(ladder: Event) -> bool:
    return len(ladder["data"]) == ROWS


def _stream(client: IbindClient, running: SimulatorProcess) -> tuple[str, str]:
    """Start and stream one ladder; the binding's key and the conid."""
    _start(client, running)
    conid = _front(client)
    subscribed = client.do("subscribe_ladder", conid=conid)
    assert (subscribed["done"], subscribed["status"]) == (True, "ACTIVE")
    client.event("PriceLadder", _is_full)
    return str(subscribed["key"]), conid


def test_a_session_greets_ibind_with_what_it_knows(
    client: IbindClient, running: SimulatorProcess
) -> None:
    _start(client, running)
    user = running.user
    hello = client.event("System", lambda said: "success" in said["data"])["data"]
    assert (hello["success"], hello["isPaper"]) == (user.username, True)
    account = client.event("AccountUpdate")["data"]
    assert account["accounts"] == [user.account]
    status = client.event("AuthenticationStatus")
    assert (status["authenticated"], status["competing"]) == (True, False)
    beat = client.event("System", lambda said: "hb" in said["data"])["data"]
    # ibind compares it with the machine's clock: heartbeats tell the time of day.
    assert isinstance(beat["hb"], int)
    # It gives its threads 5 s; two of them race for the answer to its close.
    wait_until(lambda: client.do("shutdown"), "ibind to have shut down")
    client.event("WsStopped")


def test_ladders_and_quotes_are_typed_events(
    client: IbindClient, running: SimulatorProcess
) -> None:
    key, conid = _stream(client, running)
    ladder = client.event("PriceLadder", _is_full)
    assert (ladder["account_id"], ladder["conid"]) == (running.user.account, conid)
    assert [row["row"] for row in ladder["data"]] == list(range(ROWS))
    after = client.now()
    delta = client.event("PriceLadder", after=after)
    assert {*delta["data"][0]} <= {"row", "focus", "price", "bid", "ask"}
    quote = client.do("subscribe_quote", conid=conid, fields=FIELDS)
    assert (quote["done"], quote["status"]) == (True, "ACTIVE"), "confirmed by data, not by sending"
    first = client.event("MarketData", lambda said: "last_price" in said["data"])
    assert (first["conid"], float(first["data"]["last_price"]) > 0) == (conid, True)
    # ibind knows one ladder of an account: it keeps the second one back by itself.
    with pytest.raises(RefusedError) as refused:
        client.do("subscribe_ladder", conid=_front(client, "ES"))
    assert refused.value.type == "SubscriptionConflictError"
    assert client.do("unsubscribe_quote", conid=conid, fields=FIELDS) is True
    assert client.do("unsubscribe_ladder", conid=conid) is True
    assert client.do("binding", key=key) == "UNSUBSCRIBED"
    wait_until(lambda: running.session()["ladders"] == [], "no ladder at the simulator")
    assert client.events("IbkrError") == []
    assert client.events("GenericIbkrEvent") == [], "ibind has understood every frame"


def test_after_a_close_it_subscribes_again_and_data_flow(
    client: IbindClient, running: SimulatorProcess
) -> None:
    """A server that closes in order: no error for ibind, and data 5 s later."""
    key, _ = _stream(client, running)
    after = client.now()
    running.fault("websocket_closed")
    _comes_back(client, key, after)
    assert client.events("WsError", after=after) == []


def test_after_a_cut_connection_too(client: IbindClient, running: SimulatorProcess) -> None:
    key, _ = _stream(client, running)
    after = client.now()
    running.fault("websocket_closed", parameters={"code": 1006})
    assert "lost" in client.event("WsError", after=after)["error"]
    degraded = client.event("WsDegraded", after=after)
    assert degraded["previous_state"] == "AUTHENTICATED"
    _comes_back(client, key, after)


def _comes_back(client: IbindClient, key: str, after: int) -> None:
    """The binding goes from DEGRADED to ACTIVE by itself, and the ladder begins anew."""
    began = time.monotonic()
    update = client.event("SubscriptionUpdated", after=after)
    assert (update["binding_key"], update["status"]) == (key, "DEGRADED")
    assert client.event("WsOpen", after=after)["current_state"] == "OPEN"
    client.event("WsAuthenticated", after=after)
    client.event("SubscriptionUpdated", lambda said: said["status"] == "ACTIVE", after=after)
    client.event("PriceLadder", _is_full, after=after)
    print(f"data flow again after {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize(
    ("every", "settings"),
    [
        pytest.param(10.0, {}, marks=pytest.mark.long, id="as at IBKR"),
        pytest.param(
            2.0,
            {"IBIND_WS_MAX_PING_INTERVAL": "5", "IBIND_WS_PING_INTERVAL": "2"},
            id="five times as fast",
        ),
    ],
)
def test_missing_heartbeats_are_noticed_and_cured(
    tmp_path: Path, every: float, settings: dict[str, str]
) -> None:
    """Data flow on, only the heartbeats stop: ibind notices at its look every 10 s."""
    with (
        simulator(tmp_path, heartbeat_every=every) as running,
        ibind(running, **settings) as client,
    ):
        key, _ = _stream(client, running)
        client.event("System", lambda said: "hb" in said["data"])
        after = client.now()
        began = time.monotonic()
        fault = running.fault("no_heartbeats")
        client.event("WsDegraded", after=after)
        print(f"noticed after {time.monotonic() - began:.0f} s")
        assert client.events("PriceLadder", after=after), "data flowed all the while"
        running.end_fault(fault)
        _comes_back(client, key, after)


def test_a_brokerage_session_that_is_lost_and_comes_back(
    client: IbindClient, running: SimulatorProcess
) -> None:
    key, _ = _stream(client, running)
    after = client.now()
    running.fault("brokerage_lost")
    client.event("AuthenticationStatus", lambda said: said["authenticated"] is False, after=after)
    client.event("WsOpen", after=after)
    # Not authenticated: ibind sends nothing, and takes its ladder for degraded.
    assert client.do("state") == "OPEN"
    assert client.do("binding", key=key) == "DEGRADED"
    client.rest("initialize_brokerage_session")
    back = client.now()
    client.event("WsAuthenticated", after=after)
    client.event("PriceLadder", _is_full, after=back)


def test_a_lost_login_is_retried_until_somebody_has_logged_in(
    client: IbindClient, running: SimulatorProcess
) -> None:
    """The websocket goes, every tickle is a 401; ibind tries on, and recovers by itself."""
    _stream(client, running)
    running.fault("login_lost")
    after = client.now()
    running.fault("websocket_closed")
    client.event("WsClose", after=after)
    with pytest.raises(RefusedError, match="401"):
        client.rest("tickle")
    assert client.rest("check_health") is False
    running.log_in()
    wait_until(lambda: running.session()["authenticated"], "the new login's session")
    back = client.now()
    client.event("WsAuthenticated", after=back)
    client.event("PriceLadder", _is_full, after=back)
