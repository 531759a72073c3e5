"""The verdict over one contract and trade date. Pure; the thresholds are here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import Cause, Verdict


@dataclass(frozen=True)
class Product:
    """What is special about one product, ``SYMBOL.EXCHANGE``. ``roll_days``: the front month means
    the next one that many days before its last trading day."""

    name: str
    checks: CheckThresholds
    roll_days: int = 0


@dataclass(frozen=True)
class Thresholds:
    """Where good ends. Shares are fractions of 1, times are seconds.

    ``expected_causes``: gaps that nobody has to explain. ``tail_slack``: a live run whose last
    frame is younger than this against the newest frame of all is merely between two frames
    (heartbeats come every 10 s). ``checks``: of all products but ``products``.
    """

    coverage: float = 0.995
    coverage_floor: float = 0.95
    crossed_time: float = 0.001
    silent_after: float = 30.0
    tail_slack: float = 30.0
    expected_causes: tuple[str, ...] = (Cause.NOT_ASSIGNED, Cause.MAINTENANCE)
    checks: CheckThresholds = CheckThresholds()
    products: tuple[Product, ...] = ()

    def product(self, contract: str) -> Product:
        """The product of a contract key."""
        name = contract.rpartition(".")[0]
        return next((p for p in self.products if p.name == name), Product(name, self.checks))

    def of(self, contract: str) -> Thresholds:
        """With the coverage and crossed time that the checks of the contract's product have."""
        checks = self.product(contract).checks
        return replace(
            self,
            coverage=checks.coverage_warn,
            coverage_floor=checks.coverage_fail,
            crossed_time=checks.crossed_fail,
        )


@dataclass(frozen=True)
class Facts:
    """What the verdict of one contract rests on. ``frames_*``: of its pod, None without a run.
    ``calendar_difference``: see ``told_hours``; where frames exist no reason of the verdict, since
    nobody knows who is right."""

    date_is_open: bool
    assigned: bool
    expected_seconds: float
    covered_seconds: float
    gap_seconds_by_cause: dict[str, float]
    ladder_frames: int
    crossed_seconds: float
    two_sided_seconds: float
    undecodable: int
    frames_received: int | None
    frames_stored: int | None
    calendar_difference: str | None = None

    @property
    def coverage(self) -> float | None:
        """Covered share of the expected time, None when nothing was expected."""
        return None if self.expected_seconds <= 0 else self.covered_seconds / self.expected_seconds


def judge(facts: Facts, thresholds: Thresholds) -> tuple[Verdict, list[str]]:
    """Verdict and its reasons, most important first. An ``available`` one has no reasons."""
    if facts.ladder_frames == 0:
        if facts.date_is_open:
            return Verdict.PENDING, ["no ladder frame yet on the open trade date"]
        if facts.assigned and facts.expected_seconds <= 0:
            if facts.calendar_difference:
                return Verdict.MISSING, [f"no ladder frame, and {facts.calendar_difference}"]
            # A holiday: nothing is missing.
            return Verdict.AVAILABLE, []
        return Verdict.MISSING, ["assigned, but no ladder frame was recorded"]
    reasons = [
        *_coverage_reasons(facts, thresholds),
        *_gap_reasons(facts, thresholds),
        *_balance_reasons(facts),
        *_content_reasons(facts, thresholds),
    ]
    return (Verdict.DEGRADED if reasons else Verdict.AVAILABLE), reasons


def _coverage_reasons(facts: Facts, thresholds: Thresholds) -> list[str]:
    if not facts.assigned:
        return ["in no assignment: how much is missing is unknown"]
    coverage = facts.coverage
    if coverage is None or coverage >= thresholds.coverage:
        return []
    limit = thresholds.coverage
    word = "coverage"
    if coverage < thresholds.coverage_floor:
        limit, word = thresholds.coverage_floor, "low coverage"
    # Rounded down: 99.4999 % must not read as 99.5 %.
    shown = int(coverage * 100_000) / 1000
    expected = [
        _lasting(length, cause)
        for cause, length in sorted(facts.gap_seconds_by_cause.items())
        if cause in thresholds.expected_causes
    ]
    why = f" ({', '.join(expected)})" if expected else ""
    return [f"{word}: {shown:.3f} % of the expected time, less than {limit:.1%}{why}"]


def _gap_reasons(facts: Facts, thresholds: Thresholds) -> list[str]:
    return [
        f"gaps: {_lasting(length, cause)}"
        for cause, length in sorted(facts.gap_seconds_by_cause.items())
        if cause not in thresholds.expected_causes
    ]


def _lasting(length: float, cause: str) -> str:
    # Frames that came at once may be missing in a gap that lasts for no time.
    return f"{length:.3f} s of {cause}" if length >= 0.001 else f"less than 1 ms of {cause}"


def _balance_reasons(facts: Facts) -> list[str]:
    received, stored = facts.frames_received, facts.frames_stored
    if received is None or stored is None or received == stored:
        return []
    return [f"spool balance: the pod received {received} frames, {stored} are stored"]


def _content_reasons(facts: Facts, thresholds: Thresholds) -> list[str]:
    reasons = []
    if facts.undecodable:
        reasons.append(f"undecodable: {facts.undecodable} ladder frames")
    if facts.crossed_seconds > thresholds.crossed_time * facts.two_sided_seconds:
        reasons.append(f"crossed book: {facts.crossed_seconds:.3f} s")
    return reasons
