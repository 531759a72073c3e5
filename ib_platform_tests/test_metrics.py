"""Families of metrics, what they may be called, and the document that lists them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from ib_platform.metrics import counter, counters, gauge, gauges, info, state_set
from ib_platform_tests.scrape import DOCUMENT, Described, Scrape, documented

STREAMER, GATEWAY = "The streamer", "The gateway sidecar"
EXAMPLES = {
    "state": r"[A-Z_]+|idle|loading|retrying|blocked",
    "cause": r"disk_full|spool_damaged",
}
PLAIN = {"contract", "state", "mode"}
"""Labels that a name may hold: of what there is one for each, and the words of state sets."""


class Light(StrEnum):
    RED = "RED"
    GREEN = "GREEN"


class Fixed(Collector):
    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


def seen(*families: Metric) -> Scrape:
    registry = CollectorRegistry()
    registry.register(Fixed(*families))
    return Scrape(generate_latest(registry).decode())


def test_what_is_unknown_has_no_sample_and_is_described_all_the_same() -> None:
    found = seen(
        gauge("age_seconds", "Age", None, "seconds"),
        gauges("ages_seconds", "Ages", "of", {"a": None, "b": 0.0}, "seconds"),
    )
    assert found.samples("ib_platform_age_seconds") == []
    assert found.samples("ib_platform_ages_seconds") == [({"of": "b"}, 0.0)]
    assert found.described()["ib_platform_age_seconds"] == Described(
        "ib_platform_age_seconds", "gauge", "seconds", (), "Age"
    )


def test_counters_end_in_total_and_have_no_second_series() -> None:
    found = seen(
        counter("starts", "Starts", 3),
        counters("received_bytes", "Bytes", "topic", {"sbd": 7}, "bytes"),
    )
    assert found.value("ib_platform_starts_total") == 3
    assert found.value("ib_platform_received_bytes_total", topic="sbd") == 7
    assert all(len(family.samples) == 1 for family in found.families.values())


def test_a_state_set_has_one_series_for_each_state() -> None:
    family = state_set("light", "Light", "state", Light, Light.GREEN)
    samples = seen(family).samples("ib_platform_light")
    assert samples == [({"state": "RED"}, 0.0), ({"state": "GREEN"}, 1.0)]
    assert seen(state_set("light", "Light", "state", Light, None)).samples(family.name) == []


def test_labels_that_stay_are_those_of_an_info() -> None:
    found = seen(info("lamp", "Lamp", {"paper_user": 'al"pha', "run_id": "r"}))
    assert found.value("ib_platform_lamp_info", paper_user='al"pha', run_id="r") == 1


ALL = {**documented(STREAMER), **documented(GATEWAY)}


@pytest.mark.parametrize("metric", ALL.values(), ids=lambda metric: metric.name)
def test_names_and_units_follow_the_conventions(metric: Described) -> None:
    name = metric.name
    assert re.fullmatch(r"ib_platform(_[a-z]+)+", name)
    assert name.endswith("_total") == (metric.kind == "counter")
    assert name.endswith("_info") == (metric.kind == "info")
    assert metric.kind in ("counter", "gauge", "histogram", "info")
    assert not name.endswith(("_count", "_sum", "_bucket", "_created"))
    base = name.removesuffix("_total")
    unit = next((unit for unit in ("seconds", "bytes") if base.endswith(f"_{unit}")), "")
    assert metric.unit == unit
    assert not set(name.split("_")) & {"ms", "milliseconds", "minutes", "kb", "mb", "num", "avg"}
    if metric.kind != "info":
        assert not {"paper_user", "run_id", "conid", "le", "quantile"} & set(metric.labels)
    assert not any(label in name.split("_") for label in set(metric.labels) - PLAIN)
    assert metric.meaning
    assert not metric.meaning.endswith(".")


def test_the_two_programs_share_no_name() -> None:
    assert not set(documented(STREAMER)) & set(documented(GATEWAY))


def alerts() -> list[dict[str, Any]]:
    text = DOCUMENT.read_text(encoding="utf-8").split("## Alerts", 1)[1]
    rules = yaml.safe_load(text.split("```yaml\n", 1)[1].split("```", 1)[0])
    return [rule for group in rules["groups"] for rule in group["rules"]]


def test_there_are_four_example_alerts() -> None:
    assert len(alerts()) == 4


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    expression = rule["expr"]
    names = re.findall(r"\bib_platform_\w+", expression)
    assert names
    for name in names:
        assert name in ALL
    for name, selector in re.findall(r"\b(ib_platform_\w+)\{([^}]*)\}", expression):
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector):
            assert label in ALL[name].labels
            assert re.fullmatch(rf"({EXAMPLES[label]})(\|({EXAMPLES[label]}))*", value)
    assert expression.count("(") == expression.count(")")
    summary = rule["annotations"]["summary"]
    used = set(re.findall(r"\$labels\.(\w+)", summary)) - {"instance", "job"}
    assert used <= {label for name in names for label in ALL[name].labels}
