"""Scrapes of ``/metrics``, and the tables of docs/metrics.md, in one form that can be compared."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ib_platform_tests.secret_watch import WATCH

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
_ENDS = {"counter": "_total", "info": "_info"}
_BUCKETS = {"le"}


@dataclass(frozen=True)
class Described:
    """A metric as people meet it. ``labels``: those of its samples, sorted."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    meaning: str


class Scrape:
    """What one scrape answered, by full name (counters with ``_total``)."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where the text breaks the OpenMetrics format."""
        self.families: dict[str, Metric] = {}
        for family in openmetrics.text_string_to_metric_families(text):
            self.families[family.name + _ENDS.get(family.type, "")] = family

    def described(self) -> dict[str, Described]:
        return {name: _described(name, family) for name, family in self.families.items()}

    def value(self, name: str, **labels: str) -> float | None:
        """The sample with exactly these labels; None where there is none."""
        found = [value for has, value in self.samples(name) if has == labels]
        assert len(found) <= 1, f"{name}{labels} stands there {len(found)} times"
        return found[0] if found else None

    def samples(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and values; ``name`` may be that of a histogram's ``_count`` or ``_sum``."""
        return [
            (sample.labels, sample.value)
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name
        ]


def scrape(port: int, accept: str = OPEN_METRICS) -> tuple[str, str]:
    """Content type and text of ``/metrics``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        WATCH.look(body, f"the answer of /metrics at port {port}")
        assert answer.status == 200, body
        return answer.headers["Content-Type"], body.decode()
    finally:
        connection.close()


def scraped(port: int) -> Scrape:
    return Scrape(scrape(port)[1])


def plain_names(port: int) -> set[str]:
    """Full names in the plain text format of Prometheus, which knows no units and no infos."""
    kind, text = scrape(port, "text/plain")
    assert kind.startswith("text/plain")
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }


def _described(name: str, family: Metric) -> Described:
    labels = {label for sample in family.samples for label in sample.labels} - _BUCKETS
    return Described(name, family.type, family.unit, tuple(sorted(labels)), family.documentation)


def documented(heading: str) -> dict[str, Described]:
    """The rows of the table below a heading of docs/metrics.md."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1]
    section = section.split("\n## ", 1)[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            name, kind, unit, labels, meaning = cells
            rows[name.strip("`")] = Described(
                name.strip("`"), kind, unit, tuple(re.findall(r"`(\w+)`", labels)), meaning
            )
    return rows


def table(described: Mapping[str, Described]) -> str:
    """The table for docs/metrics.md."""
    lines = ["| name | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    for name, metric in described.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |")
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines) + "\n"
