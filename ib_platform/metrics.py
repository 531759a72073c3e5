"""How state becomes Prometheus metrics: families that are built when somebody scrapes.

Names begin with ``ib_platform_``, units are seconds and bytes, counters end in ``_total``. What is
unknown is absent, never 0. ``docs/metrics.md`` lists every metric and a test compares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

# One more series for every counter and histogram, which nobody asks for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


def name_of(name: str) -> str:
    """The full name of a metric."""
    return f"ib_platform_{name}"


def info(name: str, meaning: str, labels: dict[str, str]) -> InfoMetricFamily:
    """What stays the same for the life of the process. ``name`` without ``_info``."""
    family = InfoMetricFamily(name_of(name), meaning, labels=list(labels))
    family.add_metric(list(labels), labels)
    return family


def gauge(name: str, meaning: str, value: float | None, unit: str = "") -> GaugeMetricFamily:
    """One value; no sample where it is None: nobody knows it."""
    return GaugeMetricFamily(name_of(name), meaning, value=value, unit=unit)


def gauges(
    name: str, meaning: str, label: str, values: Mapping[str, float | None], unit: str = ""
) -> GaugeMetricFamily:
    """A value for each ``label``; no sample where it is None."""
    family = GaugeMetricFamily(name_of(name), meaning, labels=[label], unit=unit)
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], value)
    return family


def counter(name: str, meaning: str, value: float, unit: str = "") -> CounterMetricFamily:
    """A count since the process began. ``name`` without ``_total``."""
    return CounterMetricFamily(name_of(name), meaning, value=value, unit=unit)


def counters(
    name: str, meaning: str, label: str, values: Mapping[str, float], unit: str = ""
) -> CounterMetricFamily:
    """A count for each ``label``."""
    family = CounterMetricFamily(name_of(name), meaning, labels=[label], unit=unit)
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def state_set(
    name: str, meaning: str, label: str, words: Iterable[str], word: str | None
) -> GaugeMetricFamily:
    """One series for each of ``words``: 1 for the one that holds. None: nobody knows, no series."""
    held = {} if word is None else {str(other): float(other == word) for other in words}
    return gauges(name, meaning, label, held)
