"""The words of a verification: what was found, and whether anything explains it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Standing(StrEnum):
    """Whether a finding is explained. Only UNEXPLAINED fails a verification.

    EXPLAINED: a recorded event names a cause. PENDING: it lies in the spool and is not loaded yet.
    HARMLESS: nothing is missing and readers see nothing of it. UNKNOWN: not enough is recorded to
    say.
    """

    EXPLAINED = "explained"
    PENDING = "pending"
    HARMLESS = "harmless"
    UNKNOWN = "unknown"
    UNEXPLAINED = "unexplained"


class Kind(StrEnum):
    """What a finding is about; ``docs/verify.md`` has a row for each."""

    MISSING = "missing"
    LOST = "lost"
    TORN = "torn"
    DAMAGED = "damaged"
    NOT_LOADED = "not_loaded"
    BALANCE = "balance"
    REPEATED = "repeated"
    CONFLICTING = "conflicting"
    DIFFERENT = "different"
    NO_END = "no_end"
    NO_BEGINNING = "no_beginning"
    SPOOL = "spool"


class Finding(msgspec.Struct, frozen=True):
    """``frames``: how many, None where nobody can know. ``run_id``: None when it is about a spool
    folder as a whole. ``remedy``: what to do, None where nothing needs to be done."""

    paper_user: str
    run_id: str | None
    kind: Kind
    standing: Standing
    frames: int | None
    text: str
    cause: str | None = None
    remedy: str | None = None


class Balance(msgspec.Struct, frozen=True):
    """Frames of one run in the span; it always holds that
    received = stored + explained + pending + unknown + unexplained.

    ``spooled``: frames that took a number. ``stored``: distinct numbers in the table; ``repeated``
    rows beyond them are in no other count. ``payload_bytes``: of the stored frames.
    """

    received: int = 0
    spooled: int = 0
    stored: int = 0
    explained: int = 0
    pending: int = 0
    unknown: int = 0
    unexplained: int = 0
    repeated: int = 0
    payload_bytes: int = 0


class RunProof(msgspec.Struct, frozen=True):
    """What is known of one run in the span. ``end``: ``stopped``, ``recovered`` (it died, and a
    later run loaded its spool), ``later`` (behind the span) or ``unknown``."""

    paper_user: str
    run_id: str
    end: str
    balance: Balance
    findings: tuple[Finding, ...] = ()


class SpoolProof(msgspec.Struct, frozen=True):
    """What was compared with one paper user's spool: ``compared`` frames are equal in stamps and
    SHA-256 of the payload but for the ``different`` ones."""

    paper_user: str
    folder: str
    segments: int = 0
    compared: int = 0
    different: int = 0
    not_loaded: int = 0
    findings: tuple[Finding, ...] = ()


class Verification(msgspec.Struct, frozen=True):
    """The whole answer. ``begin`` and ``end``: ISO 8601 UTC, half-open. ``spools`` is empty where
    no spool was looked at, which says nothing about payloads."""

    begin: str
    end: str
    runs: tuple[RunProof, ...]
    spools: tuple[SpoolProof, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """All findings, those that fail first."""
        found = [finding for run in self.runs for finding in run.findings]
        found += [finding for spool in self.spools for finding in spool.findings]
        worst_first = list(reversed(Standing))
        return sorted(found, key=lambda finding: worst_first.index(finding.standing))

    @property
    def unexplained(self) -> list[Finding]:
        """Findings that fail the verification."""
        return [f for f in self.findings if f.standing is Standing.UNEXPLAINED]

    @property
    def total(self) -> Balance:
        """Sum over all runs."""
        return total_of(run.balance for run in self.runs)


def total_of(balances: Iterable[Balance]) -> Balance:
    """Sum, field by field."""
    chosen = list(balances)
    names = Balance.__struct_fields__
    return Balance(*(sum(getattr(b, name) for b in chosen) for name in names))
