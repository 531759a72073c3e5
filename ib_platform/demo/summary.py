"""The summary of a demo: what was received, spooled, stored and built, counted in ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any, Protocol

from ib_platform.marketdata.bars import BarSize


class Queries(Protocol):
    """The part of a clickhouse-connect client that the summary uses."""

    def query(self, query: str, parameters: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class PodHistory:
    """What the demo saw of a pod: its states in order, and when it first streamed."""

    states: list[tuple[str, str]] = field(default_factory=list)
    streaming_after_seconds: float | None = None


def _rows(client: Queries, name: str, since: datetime) -> list[dict[str, Any]]:
    sql = files("ib_platform.warehouse.queries").joinpath(name).read_text(encoding="utf-8")
    return list(client.query(sql, parameters={"since": since.timestamp()}).named_results())


def build_summary(
    client: Queries, since: datetime, histories: dict[str, PodHistory]
) -> dict[str, Any]:
    """Counts of all runs that started at or after ``since`` (UTC).

    Per pod and in total ``received`` (stamped by the streamer), ``spooled`` (complete in the spool)
    and ``stored`` (distinct frames in ClickHouse); ``received`` and ``spooled`` are None while a
    run's spool is not loaded to its end. Per contract the ladder frames, states, bars, verdict.
    """
    pods: dict[str, Any] = {
        name: {
            "reached_streaming": history.streaming_after_seconds is not None,
            "streaming_after_seconds": history.streaming_after_seconds,
            "states": [{"at": at, "state": state} for at, state in history.states],
            "runs": 0,
            "received": 0,
            "spooled": 0,
            "stored": 0,
        }
        for name, history in histories.items()
    }
    for row in _rows(client, "demo_pods.sql", since):
        pods.setdefault(row.pop("paper_user"), {}).update(row)
    contracts = {row.pop("contract"): row for row in _rows(client, "demo_contracts.sql", since)}
    return {"pods": pods, "total": _total(pods), "contracts": contracts}


def _total(pods: dict[str, Any]) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    for name in ("received", "spooled", "stored"):
        values = [pod[name] for pod in pods.values()]
        counts[name] = None if None in values else sum(values)
    return counts


def complaints(summary: dict[str, Any]) -> list[str]:
    """Why the demo did not do its main job; empty when it did."""
    found = []
    for name, pod in summary["pods"].items():
        if not pod["reached_streaming"]:
            found.append(f"pod {name} never reached STREAMING")
        if not (pod["received"] == pod["spooled"] == pod["stored"]):
            found.append(
                f"pod {name}: received {pod['received']}, spooled {pod['spooled']}, "
                f"stored {pod['stored']} are not equal"
            )
        if not pod["stored"]:
            found.append(f"pod {name} stored no frame")
    for name, contract in summary["contracts"].items():
        if contract["verdict"] is None:
            found.append(f"contract {name} has no quality verdict")
    return found


def contract_line(name: str, contract: dict[str, Any]) -> str:
    """A contract of the summary as one line for people."""
    counts = contract["bars"] or {}
    bars = ", ".join(
        f"{size.value} {counts[size.value]}" for size in BarSize if size.value in counts
    )
    gaps = ", ".join(f"{cause} {seconds} s" for cause, seconds in contract["gaps"] or [])
    reasons = "; ".join(contract["reasons"] or [])
    return (
        f"{name}: {contract['ladder_frames']} ladder frames, {contract['two_sided']} two-sided "
        f"states, {contract['crossed']} crossed; bars: {bars or 'none'}; gaps: {gaps or 'none'}; "
        f"verdict {contract['verdict']}" + (f" ({reasons})" if reasons else "")
    )
