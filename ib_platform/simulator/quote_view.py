"""One quote subscription: samples of a market -> ``smd`` frames with changed fields only. Pure.

As recorded: the first frame comes soon after the request, in a quarter of the cases twice (the
same values, other order of keys), sometimes without values; from then on one frame for each sample
in which a field changed. After its lifetime a subscription ends without a word (IBKR since 2026).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

import msgspec

from ib_platform.simulator.behaviour import QuoteParameters
from ib_platform.simulator.quote_fields import DESCRIPTIVE

Values = Mapping[str, str | int]
Sample = Callable[[float], Values]
"""Values of the wanted fields at an instant, by field number."""


class QuoteView:
    """Instants are simulated monotonic seconds. ``server_id``: IBKR's name of the subscription,
    ``q0``, ``q1``, ..., in fields of that name and 6119."""

    def __init__(
        self,
        conid: int,
        sample: Sample,
        *,
        server_id: str,
        now: float,
        luck: Random,
        parameters: QuoteParameters | None = None,
    ) -> None:
        self._conid = conid
        self._sample = sample
        self._server_id = server_id
        self._parameters = parameters or QuoteParameters()
        self._next = now + luck.uniform(*self._parameters.answer_delay)
        self._twice = luck.random() < self._parameters.first_twice_share
        self._bare = luck.random() < self._parameters.bare_first_share
        self._sent: dict[str, str | int] | None = None
        self.ends = now + self._parameters.lifetime

    def poll(self, now: float, wall_ms: int) -> list[bytes]:
        """Frames due at ``now``, stamped ``wall_ms``; none when no field changed."""
        if now < self._next:
            return []
        every = self._parameters.sampled_every
        missed = math.floor((now - self._next) / every) if every > 0 else 0
        self._next += (missed + 1) * every
        values = dict(self._sample(now))
        if self._sent is None:
            return self._first(values, wall_ms)
        changed = {key: value for key, value in values.items() if self._sent.get(key) != value}
        self._sent |= changed
        return [self._frame(changed, wall_ms)] if changed else []

    def _first(self, values: dict[str, str | int], wall_ms: int) -> list[bytes]:
        if self._bare:
            values = {key: value for key, value in values.items() if key in DESCRIPTIVE}
        self._sent = values
        frame = self._frame(values, wall_ms)
        if not self._twice:
            return [frame]
        head = self._head(wall_ms)
        early = values | {"conidEx": head.pop("conidEx"), "topic": self._topic} | head
        return [msgspec.json.encode(early), frame]

    def _frame(self, values: dict[str, str | int], wall_ms: int) -> bytes:
        return msgspec.json.encode(self._head(wall_ms) | values | {"topic": self._topic})

    @property
    def _topic(self) -> str:
        return f"smd+{self._conid}"

    def _head(self, wall_ms: int) -> dict[str, str | int]:
        return {
            "server_id": self._server_id,
            "conidEx": str(self._conid),
            "conid": self._conid,
            "_updated": wall_ms,
            "6119": self._server_id,
        }
