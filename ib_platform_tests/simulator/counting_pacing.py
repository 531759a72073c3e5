"""The simulator's book of requests, for tests that ask what was sent and when."""

from __future__ import annotations

from ib_platform.simulator.pacing import Pacing, PacingParameters


class CountingPacing(Pacing):
    """Notes every request: when, which path, and whether it was let through."""

    def __init__(self, parameters: PacingParameters) -> None:
        super().__init__(parameters)
        self.seen: list[tuple[float, str, bool]] = []

    def allows(
        self, address: str, caller: str, path: str, now: float, *, limit: float | None = None
    ) -> bool:
        allowed = super().allows(address, caller, path, now, limit=limit)
        self.seen.append((now, path, allowed))
        return allowed

    def busiest_second(self) -> int:
        instants = [at for at, _, _ in self.seen]
        return max(sum(at <= other < at + 1 for other in instants) for at in instants)
