"""IBKR's pacing: token buckets and the penalty box (Web API page, section 2.3). Pure.

Requests are counted for each caller (a gateway's user); the box is keyed by the caller's public
address, so that two gateways behind one address are punished together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from ib_platform.simulator.parameters import Rate, Seconds, parameters


@parameters
class PacingParameters:
    """``requests_per_second``: all calls of one gateway, with a burst of as many at once.
    ``endpoint_limits``: whether the limits of single endpoints apply too. ``endpoint_burst``:
    calls at once to an endpoint that allows one a second (not documented; a client in the field
    opens with two). ``penalty``: how long the address is answered 429 afterwards."""

    requests_per_second: Rate = 10.0
    endpoint_limits: bool = True
    endpoint_burst: Annotated[int, Field(ge=1)] = 5
    penalty: Seconds = 900.0


ENDPOINT_RATES: Mapping[str, float] = {
    "/tickle": 1.0,
    "/sso/validate": 1 / 60,
    "/portfolio/accounts": 1 / 5,
    "/portfolio/subaccounts": 1 / 5,
    "/iserver/account/orders": 1 / 5,
    "/iserver/account/trades": 1 / 5,
    "/iserver/account/pnl/partitioned": 1 / 5,
    "/iserver/marketdata/snapshot": 10.0,
    "/iserver/scanner/params": 1 / 900,
    "/iserver/scanner/run": 1.0,
    "/fyi/": 1.0,
    "/pa/": 1 / 900,
}
"""Calls a second by path; one that ends in a slash stands for all below it."""


@dataclass(slots=True)
class _Bucket:
    rate: float
    capacity: float
    level: float
    filled_at: float

    def take(self, now: float) -> bool:
        self.level = min(self.capacity, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Pacing:
    """``now``: simulated monotonic seconds."""

    def __init__(self, parameters: PacingParameters) -> None:
        self._parameters = parameters
        self._boxed_until: dict[str, float] = {}
        self._callers_until: dict[str, float] = {}
        self._everybody_until = float("-inf")
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def allows(
        self, address: str, caller: str, path: str, now: float, *, limit: float | None = None
    ) -> bool:
        """Count one request to ``path`` (without prefix); False means 429. ``limit`` replaces the
        configured requests a second."""
        if self.boxed_until(address, now, caller) is not None:
            return False
        rate = self._parameters.requests_per_second if limit is None else limit
        buckets = [self._bucket((caller, f"all at {rate}"), rate, max(1.0, rate), now)]
        endpoint = _endpoint(path)
        if self._parameters.endpoint_limits and endpoint is not None:
            rate = ENDPOINT_RATES[endpoint]
            burst = max(rate, self._parameters.endpoint_burst) if rate >= 1 else 1.0
            buckets.append(self._bucket((caller, endpoint), rate, burst, now))
        if all([bucket.take(now) for bucket in buckets]):
            return True
        self.penalise(address, now)
        return False

    def penalise(self, address: str, now: float) -> None:
        """Put an address into the box from now on."""
        self._boxed_until[address] = now + self._parameters.penalty

    def penalise_caller(self, caller: str, now: float) -> None:
        """Punish one user, as if its gateway had an address of its own."""
        self._callers_until[caller.lower()] = now + self._parameters.penalty

    def penalise_everybody(self, now: float) -> None:
        """Put every address into the box, seen or not."""
        self._everybody_until = now + self._parameters.penalty

    def boxed_until(self, address: str, now: float, caller: str = "") -> float | None:
        """End of the penalty of an address, or of a caller at it; None when there is none."""
        never = float("-inf")
        until = max(
            self._boxed_until.get(address, never),
            self._callers_until.get(caller.lower(), never),
            self._everybody_until,
        )
        return until if until > now else None

    def penalties(self, now: float) -> dict[str, float]:
        """Seconds that remain, by address; by username and for ``everybody`` if injected."""
        boxes = self._boxed_until | self._callers_until | {"everybody": self._everybody_until}
        return {address: until - now for address, until in boxes.items() if until > now}

    def _bucket(self, key: tuple[str, str], rate: float, burst: float, now: float) -> _Bucket:
        if key not in self._buckets:
            self._buckets[key] = _Bucket(rate, burst, burst, now)
        return self._buckets[key]


def _endpoint(path: str) -> str | None:
    if (bare := path.rstrip("/")) in ENDPOINT_RATES:
        return bare
    below = [
        prefix for prefix in ENDPOINT_RATES if prefix.endswith("/") and path.startswith(prefix)
    ]
    return below[0] if below else None
