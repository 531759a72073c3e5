"""A verification for people (tables) and for machines (JSON)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ib_platform.warehouse.verify.findings import Balance, Finding, Standing, Verification

_ALWAYS = ("received", "spooled", "stored", "payload_bytes")
_STYLES = {
    Standing.EXPLAINED: "",
    Standing.PENDING: "",
    Standing.HARMLESS: "dim",
    Standing.UNKNOWN: "yellow",
    Standing.UNEXPLAINED: "bold red",
}


def as_json(verification: Verification) -> str:
    """``verified``, the span, ``total``, every run with balance and findings, every spool."""
    answer: dict[str, Any] = {
        "verified": not verification.unexplained,
        "total": verification.total,
        **msgspec.structs.asdict(verification),
    }
    return json.dumps(msgspec.to_builtins(answer), indent=2)


def show(verification: Verification, console: Console) -> None:
    """A line per run, a line per finding, a sentence per spool."""
    console.print(f"frames from {verification.begin} to {verification.end}", highlight=False)
    console.print(_runs(verification))
    findings = verification.findings
    if findings:
        console.print(_findings(findings))
    for spool in verification.spools:
        if spool.segments:
            console.print(
                f"spool of {spool.paper_user}: {spool.compared:,} frames of {spool.segments} "
                f"segments compared with their rows, {spool.different:,} differ, "
                f"{spool.not_loaded:,} not loaded yet",
                highlight=False,
            )
    console.print(verdict(verification), highlight=False)


def verdict(verification: Verification) -> str:
    """One sentence."""
    total, failed = verification.total, verification.unexplained
    if failed:
        return f"NOT VERIFIED: {len(failed)} findings that nothing explains"
    if not verification.runs:
        return "nothing was received in this span, as far as the record knows"
    rest = [
        f"{count:,} {word}"
        for word, count in (
            ("lost with a cause", total.explained),
            ("not loaded yet", total.pending),
            ("unknown", total.unknown),
        )
        if count
    ]
    also = f", {', '.join(rest)}" if rest else ""
    return f"verified: {total.received:,} received, {total.stored:,} stored{also}"


def _runs(verification: Verification) -> Table:
    """Columns that are zero everywhere are left out, so that numbers are never cut."""
    total = verification.total
    names = [n for n in Balance.__struct_fields__ if n in _ALWAYS or getattr(total, n)]
    table = Table()
    table.add_column("run", overflow="fold")
    table.add_column("end", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for run in verification.runs:
        table.add_row(Text(run.run_id), run.end, *_numbers(run.balance, names))
    if len(verification.runs) > 1:
        table.add_section()
        table.add_row(f"{len(verification.runs)} runs", "", *_numbers(total, names))
    return table


def _numbers(balance: Balance, names: list[str]) -> list[str]:
    return [f"{getattr(balance, name):,}" for name in names]


def _findings(findings: list[Finding]) -> Table:
    table = Table(show_lines=True)
    for column in ("whose", "finding", "standing", "frames", "cause", "what"):
        table.add_column(column, overflow="fold", justify="right" if column == "frames" else "left")
    for finding in findings:
        frames = "?" if finding.frames is None else f"{finding.frames:,}"
        text = finding.text if finding.remedy is None else f"{finding.text}. {finding.remedy}"
        table.add_row(
            Text(finding.run_id or finding.paper_user),
            finding.kind.value,
            Text(finding.standing.value, style=_STYLES[finding.standing]),
            frames,
            finding.cause or "",
            Text(text),
        )
    return table
