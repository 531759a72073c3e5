"""What a build puts into its stages, one table after the other; later ones rest on earlier ones."""

from __future__ import annotations

from ib_platform.warehouse.build import Build
from ib_platform.warehouse.checks.build import quality_checks
from ib_platform.warehouse.contract_days import contract_rows
from ib_platform.warehouse.crossed import crossed_while_open, seconds_by_conid
from ib_platform.warehouse.horizon import DateSpan
from ib_platform.warehouse.inputs import read_surroundings
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.report import build_report, verdicts_by_conid
from ib_platform.warehouse.spans import SECOND, nanoseconds_text
from ib_platform.warehouse.sql import query
from ib_platform.warehouse.suspects import suspect_rows

_KEPT = "states_of_depth"
_LONGER = (5, 60, 300, 900, 3600, 86400)
"""Sizes of bars in seconds, but for the second itself."""


def fill(build: Build, span: DateSpan, thresholds: Thresholds) -> None:
    build.insert_query("spells", query("spells"))
    spells = {"spells": build.stages["spells"]}
    around = read_surroundings(build, span.end)
    contracts = contract_rows(build, span, around, thresholds)
    build.insert_rows("gaps", [row for contract in contracts for row in contract.gap_rows()])
    build.insert_rows("phases", [row for contract in contracts for row in contract.phase_rows()])
    suspects = suspect_rows(build, around, crossed=[])
    build.insert_rows("suspect_windows", suspects)
    states = _kept_states(build)
    bound = states | _spans(build)
    sums = _bar_sums(build, bound)
    days = {row["conid"]: row for row in build.rows("daily_states", bar_sums=sums)}
    crossed = []
    if any(row["crossed_states"] for row in days.values()):
        markets = {day.conid: day.market for day in contracts if day.conid is not None}
        rows = build.rows("crossed", _KEPT, **spells, **states)
        crossed = crossed_while_open(rows, markets)
        doubted = suspect_rows(build, None, crossed=crossed)
        build.insert_rows("suspect_windows", doubted)
        suspects = [*suspects, *doubted]
    report = build_report(contracts, days, around, span, thresholds, seconds_by_conid(crossed))
    revised = {"revised_at": build.parameters["revised_at_ms"]}
    build.insert_rows("quality_report", [{**row, **revised} for row in report])
    known_until = around.newest or span.begin
    if not span.is_open:
        known_until = max(known_until, span.end)
    _fill_bars(build, sums, bound, known_until, thresholds, verdicts_by_conid(report))
    checks = quality_checks(
        build, span, contracts, around, thresholds, days, crossed, suspects, (_KEPT, states)
    )
    build.insert_rows("quality_checks", checks)


def _bar_sums(build: Build, bound: dict[str, str]) -> str:
    """The table of the sums of bars of all sizes."""
    bar_states = build.work_table("bar_states", _KEPT, **bound)
    sums = build.work_table("bar_sums", bar_states=bar_states)
    build.add_to(sums, "longer_bar_sums", bar_sums=sums, bar_states=bar_states, sizes=list(_LONGER))
    return sums


def _fill_bars(
    build: Build,
    sums: str,
    bound: dict[str, str],
    known_until: int,
    thresholds: Thresholds,
    verdicts: dict[int, str],
) -> None:
    silent_ns = int(thresholds.silent_after * SECOND)
    volumes = build.work_table("volumes", silent_ns=silent_ns, **bound)
    build.insert_query(
        "bars",
        query("bars"),
        bar_sums=sums,
        volumes=volumes,
        known_until=nanoseconds_text(known_until),
        verdict_conids=list(verdicts),
        verdicts=list(verdicts.values()),
        **bound,
    )


def _kept_states(build: Build) -> dict[str, str]:
    """The answer of ``states.sql``, kept in tables once for all that reads it: what
    ``states_of_depth.sql`` binds."""
    spans = _spans(build)
    depth = build.stages.get("depth")
    if depth is None:
        depth = build.copy_of("depth", "depth", **spans)
    else:
        build.insert_query("depth", query("depth"), **spans)
    earlier = build.copy_of("depth", "earlier", **spans, own_rows=False)
    return {"depth": depth, "earlier": earlier}


def _spans(build: Build) -> dict[str, str]:
    """Parameters that name the build's own spans of time."""
    names = {"spells": "spells", "gaps": "gaps", "phases": "phases", "suspects": "suspect_windows"}
    return {name: build.stages[table] for name, table in names.items()}
