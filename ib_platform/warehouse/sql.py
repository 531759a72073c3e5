"""Our own SQL files: loading, including, and the version of everything that derived rows rest on.

``/* include NAME.sql */`` in a query is replaced by the text of that query: the one definition of
depth serves several queries. Parameters are bound by ClickHouse (``{name:Type}``), never formatted.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import astuple
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from ib_platform.marketdata.frames import DECODER_VERSION
from ib_platform.marketdata.sessions import CALENDAR_FILES, own_days
from ib_platform.warehouse.quality import Thresholds

_INCLUDE = re.compile(r"/\* include ([a-z_]+\.sql) \*/")
_COMMENT = re.compile(r"--[^\n]*")
BUILD_QUERIES = (
    "states",
    "states_of_depth",
    "earlier",
    "depth",
    "spells",
    "numbered_spells",
    "silences",
    "holes",
    "laid_after",
    "runs",
    "events",
    "undecodable",
    "crossed",
    "ladder_counts",
    "measures",
    "spans",
    "cuts",
    "coverage",
    "bar_states",
    "bar_sums",
    "longer_bar_sums",
    "daily_states",
    "returns",
    "volumes",
    "bars",
    "steps",
    "checks_of_frames",
    "checks_of_states",
    "checks_of_quotes",
    "checks_of_overlap",
    "checks_of_bars",
    "checks_of_rates",
    "checks_of_runs",
)
"""Queries that decide what derived rows say; all others may change freely."""
_RULES = (
    ("ib_platform.warehouse", "fill.py"),
    ("ib_platform.warehouse", "gaps.py"),
    ("ib_platform.warehouse", "causes.py"),
    ("ib_platform.warehouse", "evidence.py"),
    ("ib_platform.warehouse", "event_details.py"),
    ("ib_platform.warehouse", "regimes.py"),
    ("ib_platform.warehouse", "runs.py"),
    ("ib_platform.warehouse", "inputs.py"),
    ("ib_platform.warehouse", "losses.py"),
    ("ib_platform.warehouse", "report.py"),
    ("ib_platform.warehouse", "contract_days.py"),
    ("ib_platform.warehouse", "facts.py"),
    ("ib_platform.warehouse", "horizon.py"),
    ("ib_platform.warehouse", "crossed.py"),
    ("ib_platform.warehouse", "suspects.py"),
    ("ib_platform.warehouse", "quality.py"),
    ("ib_platform.warehouse", "spans.py"),
    ("ib_platform.warehouse", "steps.py"),
    ("ib_platform.warehouse", "told_hours.py"),
    ("ib_platform", "config_quality.py"),
    *(
        ("ib_platform.warehouse.checks", f"{name}.py")
        for name in (
            "around",
            "build",
            "catalogue",
            "figures",
            "finding",
            "judge",
            "measure",
            "of_book",
            "of_record",
            "of_whole",
            "rules",
        )
    ),
    ("ib_platform.marketdata", "calendar.py"),
    ("ib_platform.marketdata", "sessions.py"),
    ("ib_platform.marketdata", "phases.py"),
    ("ib_platform.marketdata", "schedule.py"),
    *(("ib_platform.marketdata", name) for name in CALENDAR_FILES),
)


@cache
def query(name: str, **instead: str) -> str:
    """Text of ``queries/NAME.sql`` with its includes and without its comments.

    ``instead`` names queries that are included in place of others: ``states="states_of_depth"``.
    What takes the place of another may include that one itself. Raises FileNotFoundError for a
    name that does not exist.
    """
    text = files("ib_platform.warehouse").joinpath("queries", f"{name}.sql").read_text("utf-8")

    def included(match: re.Match[str]) -> str:
        wanted = match[1].removesuffix(".sql")
        chosen = instead.get(wanted, wanted)
        others = {old: new for old, new in instead.items() if new != chosen}
        return query(chosen, **others)

    return _COMMENT.sub("", _INCLUDE.sub(included, text)).strip()


def inputs_version(thresholds: Thresholds) -> str:
    """Hash of decoder version, SQL texts, rules, calendar and thresholds: 16 hex digits.

    Rows with the same version that were built from the same record are identical.
    """
    digest = hashlib.sha256(f"decoder {DECODER_VERSION}".encode())
    for name in BUILD_QUERIES:
        digest.update(f"\n{name}\n{query(name)}".encode())
    for package, file in _RULES:
        digest.update(files(package).joinpath(file).read_bytes())
    digest.update(repr(_numbers_as_one(astuple(thresholds))).encode())
    if own_days():
        digest.update(repr(sorted(own_days().items())).encode())
    return digest.hexdigest()[:16]


def _numbers_as_one(value: Any) -> Any:
    """The value with whole numbers as floats: a default of 30 and the 30.0 of a file are one."""
    if isinstance(value, BaseModel):
        value = tuple(value.model_dump().items())
    if isinstance(value, tuple):
        return tuple(map(_numbers_as_one, value))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
