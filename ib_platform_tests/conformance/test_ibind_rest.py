"""ibind's REST client against the simulator, with IBKR's pacing in force: what ibind reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_platform_tests.conformance.ibind_client import IbindClient, RefusedError, ibind
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.support import wait_until

FIELDS = ["31", "84", "85", "86", "88"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: SimulatorProcess) -> Iterator[IbindClient]:
    with ibind(running) as client:
        client.rest("initialize_brokerage_session")
        wait_until(lambda: running.session()["authenticated"], "a brokerage session")
        yield client


def _front(client: IbindClient, symbol: str) -> int:
    months = client.rest("security_future_by_symbol", symbols=[symbol])[symbol]
    return int(min(months, key=lambda month: month["expirationDate"])["conid"])


def test_the_session_is_healthy(client: IbindClient) -> None:
    assert client.rest("check_health") is True
    assert client.rest("check_auth_status") is True
    tickle = client.rest("tickle")
    assert len(tickle["session"]) == 32
    assert tickle["iserver"]["authStatus"]["authenticated"] is True


def test_the_login_is_paper(client: IbindClient, running: SimulatorProcess) -> None:
    assert client.rest("validate")["LOGIN_TYPE"] == 2
    accounts = client.rest("receive_brokerage_accounts")
    assert (accounts["accounts"], accounts["isPaper"]) == ([running.user.account], True)
    (account,) = client.rest("portfolio_accounts")
    assert account["accountId"] == running.user.account


def test_contracts(client: IbindClient) -> None:
    months = client.rest("security_future_by_symbol", symbols=["ES", "CL", "NOSUCH"])
    assert set(months) == {"ES", "CL"}
    assert all(isinstance(month["expirationDate"], int) for month in months["CL"])
    conid = _front(client, "CL")
    info = client.rest("contract_information_by_conid", conid=str(conid))
    assert (info["con_id"], info["symbol"], info["exchange"]) == (conid, "CL", "NYMEX")
    rules = client.rest("info_and_rules_by_conid", conid=str(conid), is_buy=True)["rules"]
    assert rules["increment"] == 0.01
    found = client.rest("search_contract_by_symbol", symbol="CL")
    assert isinstance(found[0]["conid"], str)


def test_snapshots_begin_with_a_pre_flight_call(client: IbindClient) -> None:
    conid = _front(client, "ES")
    client.rest("receive_brokerage_accounts")

    def snapshot() -> dict[str, object] | None:
        (entry,) = client.rest("live_marketdata_snapshot", conids=[str(conid)], fields=FIELDS)
        assert entry["conid"] == conid
        return entry if {"31", "84", "86"} <= set(entry) else None

    assert snapshot() is None, "the first call only opens it"
    entry = wait_until(snapshot, "a snapshot with prices")
    assert entry is not None
    assert entry["6509"][0] == "R"
    assert all(isinstance(entry[field], str) for field in ("31", "84", "86"))
    assert client.rest("marketdata_unsubscribe_all") == {"unsubscribed": True}


def test_history(client: IbindClient) -> None:
    conid = _front(client, "ES")
    history = client.rest(
        "marketdata_history_by_conid", conid=str(conid), bar="1min", period="30min"
    )
    assert history["symbol"] == "ES"
    bars = history["data"]
    assert 10 < len(bars) <= 31
    assert [bar["t"] for bar in bars] == sorted(bar["t"] for bar in bars)
    assert all(bar["l"] <= min(bar["o"], bar["c"]) <= bar["h"] for bar in bars)


def test_errors_are_what_ibind_raises(client: IbindClient) -> None:
    with pytest.raises(RefusedError) as refused:
        client.rest("contract_information_by_conid", conid="1")
    assert refused.value.type == "ExternalBrokerError"
    assert refused.value.status is not None


def test_no_bridge_and_its_cure(client: IbindClient, running: SimulatorProcess) -> None:
    running.fault("brokerage_lost")
    assert client.rest("check_health") is False
    # Its own words for status 400 with exactly IBKR's text; any other text it hands on.
    with pytest.raises(RefusedError, match="no bridge. Try calling `initialize_brokerage_session"):
        client.rest("receive_brokerage_accounts")
    client.rest("initialize_brokerage_session")
    wait_until(lambda: running.session()["authenticated"], "a brokerage session")
    assert client.rest("check_health") is True


def test_a_lost_login_is_a_401_until_somebody_logs_in(
    client: IbindClient, running: SimulatorProcess
) -> None:
    running.fault("login_lost")
    with pytest.raises(RefusedError) as refused:
        client.rest("tickle")
    assert (refused.value.type, refused.value.status) == ("ExternalBrokerError", 401)
    assert client.rest("check_health") is False, "ibind takes a 401 for an unhealthy session"
    running.log_in()
    wait_until(lambda: running.session()["authenticated"], "the new login's session")
    assert client.rest("check_health") is True


def test_all_this_stayed_below_the_limits(client: IbindClient, running: SimulatorProcess) -> None:
    assert running.penalties() == {}


def test_the_eleventh_request_of_a_second_is_refused(tmp_path: Path) -> None:
    """ibind has no rate limiter of its own. IBKR has one for everybody."""

    def call_many(client: IbindClient) -> None:
        for _ in range(40):
            client.carelessly("authentication_status")

    with simulator(tmp_path) as strict, ibind(strict) as client:
        with pytest.raises(RefusedError) as refused:
            call_many(client)
        assert (refused.value.type, refused.value.status) == ("ExternalBrokerError", 429)
        assert client.rest("check_health") is False
        assert 800 < max(strict.penalties().values()) <= 900
