"""The loop of a session: what it does when its own record cannot be written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ib_platform.config_gateway import SessionPolicy
from ib_platform.gateway.health import SupervisorState
from ib_platform.gateway.keeper import SessionKeeper
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.session_machine import Action, SessionMachine
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.states import PodState
from ib_platform_tests.gateway.supervised import ScriptedLogins
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, logged_in, tiny_gateway
from ib_platform_tests.ibkr.watch import Watch

NOON = datetime(2026, 11, 25, 17, tzinfo=UTC)


@dataclass
class NoProgram:
    """A gateway that somebody else runs."""

    pid: int | None = 1

    async def restart(self, deadline: float) -> None:
        raise AssertionError("nothing here calls for a restart")


def _keeper(
    gateway: TinyGateway, client: GatewayClient, record: Path, logins: ScriptedLogins, watch: Watch
) -> SessionKeeper:
    machine = SessionMachine(SessionPolicy(), LoginHistory("papera01"), watch())
    return SessionKeeper(
        machine,
        client,
        PaperProof("DU1000001", "alpha"),
        LoginRecord(record),
        NoProgram(),
        logins,
        SupervisorState(),
        stop_deadline=1,
        clock=watch,
        wall=lambda: NOON,
        sleep=watch.sleep,
    )


async def test_without_a_record_it_looks_and_never_logs_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    logins, watch = ScriptedLogins([LoginOutcome.SUBMITTED]), Watch()
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers["/iserver/auth/status"] = (401, "")
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(gateway.port, tls) as client:
            record = tmp_path / "file" / "logins.json"
            keeper = _keeper(gateway, client, record, logins, watch)
            with caplog.at_level(logging.ERROR):
                done = [(await keeper.step()).action for _ in range(12)]
    assert logins.made == 0
    assert Action.LOG_IN in done
    assert done.count(Action.LOOK) >= 2
    assert Action.REST in done
    told = [r.getMessage() for r in caplog.records if "cannot be written" in r.getMessage()]
    assert len(told) == 1, "said once, not at every step"
    assert any("cannot be noted down" in record.getMessage() for record in caplog.records)


async def test_a_session_that_is_well_needs_no_record(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    watch = Watch()
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers = logged_in(2, True, "DU1000001")
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(gateway.port, tls) as client:
            record = tmp_path / "file" / "logins.json"
            keeper = _keeper(gateway, client, record, ScriptedLogins(), watch)
            for _ in range(8):
                await keeper.step()
            assert keeper._machine.judgement.state is PodState.AUTHENTICATED


async def _until(keeper: SessionKeeper, state: PodState, steps: int = 60) -> None:
    for _ in range(steps):
        await keeper.step()
        if keeper._machine.judgement.state is state:
            return
    raise AssertionError(f"{steps} steps in vain for {state}")


@pytest.mark.parametrize("looks_refused", [1, 3])
async def test_what_was_proven_of_one_login_is_never_used_for_another(
    tmp_path: Path, looks_refused: int
) -> None:
    """Our login ends, ours is not due yet, and somebody logs in a live user at the page."""
    watch = Watch()
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers = logged_in(2, True, "DU1000001")
        tls = client_ssl_context(gateway.certificate)
        pace = Pace(clock=watch, wall=watch, sleep=watch.sleep)
        async with GatewayClient(gateway.port, tls, pace=pace) as client:
            keeper = _keeper(gateway, client, tmp_path / "logins.json", ScriptedLogins(), watch)
            await _until(keeper, PodState.AUTHENTICATED)
            ours = gateway.answers["/iserver/auth/status"]
            looks = [(401, "")] * looks_refused
            live = logged_in(1, False, "U1") | {"/one/user": (200, {"ispaper": False})}
            gateway.answers |= live
            gateway.answers["/iserver/auth/status"] = [*looks, ours]
            asked = len(gateway.requests)
            await _until(keeper, PodState.REFUSED_LIVE)
            await _until(keeper, PodState.REFUSED_LIVE)
    paths = [path for _, path, _ in gateway.requests[asked:]]
    assert "/iserver/auth/ssodh/init" not in paths
    assert "/logout" in paths


async def test_another_session_is_proven_anew(tmp_path: Path) -> None:
    """A login that was exchanged between two looks shows in the session that tickle names."""
    watch = Watch()
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers = logged_in(2, True, "DU1000001")
        tls = client_ssl_context(gateway.certificate)
        pace = Pace(clock=watch, wall=watch, sleep=watch.sleep)
        async with GatewayClient(gateway.port, tls, pace=pace) as client:
            keeper = _keeper(gateway, client, tmp_path / "logins.json", ScriptedLogins(), watch)
            await _until(keeper, PodState.AUTHENTICATED)
            gateway.answers |= logged_in(1, False, "U1")
            gateway.answers["/tickle"] = (200, {"session": "another"})
            await _until(keeper, PodState.REFUSED_LIVE)
