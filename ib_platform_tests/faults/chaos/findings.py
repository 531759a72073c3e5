"""Does the product's own proof agree? PURE. ``ib-platform verify``, docs/verify.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ib_platform.warehouse.verify.findings import Kind, Standing
from ib_platform_tests.faults.chaos.evidence import Evidence, FrameId, Stored


def wrong_findings(evidence: Evidence, rows: Mapping[FrameId, Stored]) -> Iterator[str]:
    """What it cannot explain, what it says is still to come after the end, and damage that it
    says took frames that nobody cut off."""
    cut = Counter(run_id for run_id, seq in evidence.cut if (run_id, seq) not in rows)
    for finding in evidence.findings:
        words = f"{finding.kind} of run {finding.run_id}: {finding.text}"
        if finding.standing in (Standing.UNEXPLAINED, Standing.PENDING):
            yield f"verify says {finding.standing}: {words}"
        is_damage = finding.kind == Kind.MISSING and finding.standing == Standing.EXPLAINED
        if is_damage and (finding.frames or 0) > cut[finding.run_id or ""]:
            yield f"verify explains more than was cut off: {words}"
