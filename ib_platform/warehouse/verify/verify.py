"""Verification of a span of the record: what was received is stored, or lost with a cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ib_platform.warehouse.spans import SECOND, Span
from ib_platform.warehouse.verify.account import RunAccount
from ib_platform.warehouse.verify.evidence import SpooledRun
from ib_platform.warehouse.verify.findings import Kind, RunProof, SpoolProof, Standing, Verification
from ib_platform.warehouse.verify.judge import judge_run
from ib_platform.warehouse.verify.read import Evidence, Reader

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_NOTHING = SpooledRun()


def verify_warehouse(client: Client, span: Span) -> Verification:
    """Verify a span (ns since 1970) over all paper users, by the warehouse alone: payloads are
    compared with nothing. Raises errors of clickhouse-connect."""
    return conclude(span, Reader(client, span).read())


def conclude(
    span: Span,
    evidence: Evidence,
    spooled: Mapping[str, tuple[str, SpooledRun]] | None = None,
    spools: Iterable[SpoolProof] = (),
) -> Verification:
    """Judge every run. Pure. ``spooled``: paper user and what its spool holds, by run id."""
    spooled = spooled or {}
    accounts = {run_id: RunAccount(run_id, user) for run_id, (user, _) in spooled.items()}
    accounts |= evidence.accounts
    proofs = []
    for run_id, account in sorted(accounts.items(), key=lambda item: (item[1].paper_user, item[0])):
        found = spooled.get(run_id, (account.paper_user, _NOTHING))[1]
        stored = evidence.stored_of(run_id)
        proof = judge_run(account, stored, found, span, evidence.kept_from)
        if _concerns(proof):
            proofs.append(proof)
    return Verification(iso(span.begin), iso(span.end), tuple(proofs), tuple(spools))


def _concerns(proof: RunProof) -> bool:
    """Whether the run has to do with the span: nothing but an end that nobody knows is nothing."""
    if proof.balance.received:
        return True
    return any(
        (finding.kind, finding.standing) != (Kind.NO_END, Standing.UNKNOWN)
        for finding in proof.findings
    )


def iso(instant: int) -> str:
    """ISO 8601 UTC with all nine digits of the second."""
    whole = datetime.fromtimestamp(instant // SECOND, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{instant % SECOND:09d}Z"
