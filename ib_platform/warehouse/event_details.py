"""The detail of a stream event, as far as these rules understand it. Pure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ib_platform.warehouse.spans import Span, to_ns


def detail_of(event: dict[str, Any]) -> dict[str, Any]:
    """Detail of an event; empty when another version wrote something else."""
    try:
        detail = json.loads(event["detail"])
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


def span_of(event: dict[str, Any]) -> Span:
    """``begin`` and ``end`` of the detail (ISO 8601 with offset), else the event's instant."""
    begin, end = instant_of(event, "begin"), instant_of(event, "end")
    if begin is None or end is None:
        return Span(event["at"], event["at"])
    return Span(min(begin, end), max(begin, end))


def instant_of(event: dict[str, Any], name: str) -> int | None:
    """An instant of the detail (ISO 8601 with offset), None where it has none of that name."""
    try:
        return to_ns(datetime.fromisoformat(detail_of(event)[name]))
    except (KeyError, TypeError, ValueError):
        return None
