"""What a sidecar's scrape says, from its health."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from ib_platform import __version__
from ib_platform.gateway.metrics import GatewayCollector
from ib_platform.health import GatewayHealth
from ib_platform.ibkr.session_machine import CURES
from ib_platform.states import PodState
from ib_platform_tests.scrape import Scrape

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def scrape(**known: object) -> Scrape:
    health = GatewayHealth("alpha", 7, PodState.SSO_ONLY, AT, "", None, 3)
    for name, value in known.items():
        setattr(health, name, value)
    registry = CollectorRegistry()
    registry.register(GatewayCollector(lambda: health))
    return Scrape(generate_latest(registry).decode())


def test_a_quiet_sidecar() -> None:
    found = scrape()
    assert found.value("ib_platform_gateway_info", paper_user="alpha", version=__version__) == 1
    assert found.value("ib_platform_gateway_program_starts_total") == 3
    assert found.value("ib_platform_gateway_alarm") == 0
    assert found.value("ib_platform_gateway_logins_in_a_day") == 0
    assert found.value("ib_platform_gateway_refused_logins") == 0
    assert found.samples("ib_platform_gateway_penalty_until_timestamp_seconds") == []
    states = {
        labels["state"]: value for labels, value in found.samples("ib_platform_gateway_state")
    }
    assert states == {state.value: float(state is PodState.SSO_ONLY) for state in PodState}


def test_troubles_have_numbers_and_their_words_stay_in_the_status() -> None:
    found = scrape(
        alarm="too many logins",
        penalty_until=AT,
        logins_in_a_day=5,
        refused_logins=2,
        cures={"initialise": 4, "log_in": 1},
    )
    assert found.value("ib_platform_gateway_alarm") == 1
    until = found.value("ib_platform_gateway_penalty_until_timestamp_seconds")
    assert until == AT.timestamp()
    assert found.value("ib_platform_gateway_logins_in_a_day") == 5
    assert found.value("ib_platform_gateway_refused_logins") == 2
    cures = {
        labels["kind"]: value for labels, value in found.samples("ib_platform_gateway_cures_total")
    }
    assert cures == dict.fromkeys((kind.value for kind in CURES), 0.0) | {
        "initialise": 4.0,
        "log_in": 1.0,
    }
