"""Metrics of the gateway sidecar: what its ``/status`` says, when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ib_platform import __version__
from ib_platform.health import GatewayHealth
from ib_platform.ibkr.session_machine import CURES
from ib_platform.metrics import counter, counters, gauge, info, state_set
from ib_platform.states import PodState


class GatewayCollector(Collector):
    """``status``: the answer of ``/status`` now."""

    def __init__(self, status: Callable[[], GatewayHealth]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        health = self._status()
        labels = {"paper_user": health.paper_user, "version": __version__}
        penalty = health.penalty_until
        yield info(
            "gateway",
            "The paper user and the version of the program, as labels; always 1",
            labels,
        )
        yield state_set(
            "gateway_state",
            "1 for the session's state, 0 for all others",
            "state",
            PodState,
            health.state,
        )
        yield gauge(
            "gateway_alarm",
            "1 while there is something that a person should look at (/status says what), else 0",
            float(health.alarm is not None),
        )
        yield counter(
            "gateway_program_starts",
            "How often the gateway program was started",
            health.program_starts,
        )
        yield gauge(
            "gateway_logins_in_a_day",
            "Logins that were tried in the last 24 hours, those of earlier processes included",
            health.logins_in_a_day,
        )
        yield gauge(
            "gateway_refused_logins",
            "Logins in a row that were refused, those of earlier processes included",
            health.refused_logins,
        )
        yield counters(
            "gateway_cures",
            "Cures of the session that were ordered, by kind",
            "kind",
            {kind.value: health.cures.get(kind, 0) for kind in sorted(CURES)},
        )
        yield gauge(
            "gateway_penalty_until_timestamp_seconds",
            "Unix time before which nothing is asked; absent when there is no penalty",
            None if penalty is None else penalty.timestamp(),
            "seconds",
        )
