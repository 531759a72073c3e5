"""Measures what the checks judge: one statement per input, none where nothing was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, Any

from ib_platform.warehouse.checks.figures import BarFigures, BookFigures, QuoteFigures, Rates
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.losses import STEP_NS
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.spans import SECOND

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build
    from ib_platform.warehouse.contract_days import ContractDay
    from ib_platform.warehouse.inputs import Surroundings

TOPICS = (
    "act", "blt", "ech", "error", "message", "ntf", "sbd", "sld", "smd", "smh", "sor", "spl", "ssd",
    "str", "sts", "system", "tic", "ubd", "uld", "umd", "umh", "uor", "upl", "usd", "utr",
)  # fmt: skip
"""Known first words of topics (``ibkr_web_api.md``), and the messages that have none."""
SHAPES = ("bad_shape", "bad_envelope", "bad_topic", "no_topic")
"""Reasons of the decoder that tell of another shape, not of a bad value."""
LADDER_KEYS = ("topic", "data", "row", "focus", "price", "bid", "ask")
QUOTE_KEYS = ("topic", "conid", "conidEx", "server_id", "_updated")
"""Beside the numbers of fields."""
_SAMPLED = 100
_LONGEST_HISTORY = 20


@dataclass(frozen=True)
class Figures:
    """Answers of the statements: by conid, ``frames`` by paper user."""

    frames: Mapping[str, Mapping[str, Any]]
    books: Mapping[int, BookFigures]
    bars: Mapping[int, BarFigures]
    quotes: Mapping[int, QuoteFigures]
    overlaps: Mapping[int, tuple[int, int]]
    rates: Mapping[int, Rates]


NOTHING = Figures({}, {}, {}, {}, {}, {})


def read_figures(
    build: Build,
    days: Sequence[ContractDay],
    around: Surroundings,
    thresholds: Thresholds,
    states: tuple[str, Mapping[str, Any]],
    overlapping: Sequence[int],
    *,
    is_open: bool,
) -> Figures:
    """Ask for them. ``states``: the query that stands for ``states.sql`` and what it binds.
    ``overlapping``: conids that two pods streamed."""
    conids = sorted({day.conid for day in days if day.conid is not None and day.counts})
    if not conids:
        return NOTHING
    name, bound = states
    frames = _frames(build)
    limits = _limits(days, around, thresholds)
    bound = {**bound, "silent_ns": int(thresholds.silent_after * SECOND)}
    spells = build.stages["spells"]
    books = build.rows("checks_of_states", states=name, spells=spells, **limits, **bound)
    quotes = []
    if any(row["quotes"] for row in frames.values()):
        quotes = build.rows("checks_of_quotes", states=name, **bound)
    overlaps = []
    if overlapping:
        overlaps = build.rows("checks_of_overlap", states=name, conids=list(overlapping), **bound)
    return Figures(
        frames=frames,
        books={row["conid"]: _only(BookFigures, row) for row in books},
        bars={
            row["conid"]: _only(BarFigures, row)
            for row in build.rows("checks_of_bars", bars=build.stages["bars"])
        },
        quotes={row["conid"]: _only(QuoteFigures, row) for row in quotes},
        overlaps={
            row["conid"]: (row["seconds_compared"], row["seconds_agreeing"]) for row in overlaps
        },
        rates={} if is_open else _rates(build, conids),
    )


def read_sources(build: Build, run_ids: Sequence[str]) -> dict[str, str | None]:
    """What runs said of their source when they started, long before the date perhaps."""
    if not run_ids:
        return {}
    return {row["run_id"]: row["source"] for row in build.rows("checks_of_runs", run_ids=run_ids)}


def _frames(build: Build) -> dict[str, dict[str, Any]]:
    rows = build.rows(
        "checks_of_frames",
        topics=list(TOPICS),
        shapes=list(SHAPES),
        step_ns=STEP_NS,
        sampled=_SAMPLED,
        ladder_keys=list(LADDER_KEYS),
        quote_keys=list(QUOTE_KEYS),
    )
    return {row["paper_user"]: row for row in rows}


def _limits(
    days: Sequence[ContractDay], around: Surroundings, thresholds: Thresholds
) -> dict[str, list[Any]]:
    """What ``checks_of_states.sql`` binds of contracts: markets and thresholds."""
    known = {day.conid: day for day in days if day.conid is not None}
    markets = [(conid, *span) for conid, day in known.items() for span in day.market]
    checks = [thresholds.product(day.contract).checks for day in known.values()]
    facts = [around.facts.get(conid) for conid in known]
    return {
        "market_conids": [conid for conid, _, _ in markets],
        "market_begins": [begin for _, begin, _ in markets],
        "market_ends": [end for _, _, end in markets],
        "limit_conids": list(known),
        "warm_ups": [check.warm_up * SECOND for check in checks],
        "wide_spreads": [check.wide_spread for check in checks],
        "mid_outliers": [check.mid_outlier for check in checks],
        "jump_ticks": [check.jump_ticks for check in checks],
        "jump_times": [check.jump_seconds * SECOND for check in checks],
        "size_outliers": [check.size_outlier for check in checks],
        "ticks": [(0.0 if fact is None else fact.tick) or 0.0 for fact in facts],
    }


def _rates(build: Build, conids: Sequence[int]) -> dict[int, Rates]:
    by_conid: dict[int, dict[Any, float]] = {}
    for row in build.rows("checks_of_rates", conids=list(conids)):
        by_conid.setdefault(row["conid"], {})[date_of(row["trade_date"])] = row["rate"]
    rates = {}
    for conid, by_date in by_conid.items():
        own = by_date.pop(build.trade_date, None)
        before = [by_date[day] for day in sorted(by_date)][-_LONGEST_HISTORY:]
        if own is not None:
            rates[conid] = Rates(own, median(before) if before else None, len(before))
    return rates


def _only(kind: type[Any], row: Mapping[str, Any]) -> Any:
    """The row as its dataclass, without the key."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})
