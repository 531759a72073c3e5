"""Metadata of a materialization: row counts, the rules' version, and a preview as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ib_platform.warehouse.compact import BuildResult
    from ib_platform.warehouse.rolls import RollPlan

_ROLLS_SHOWN = 50
_PREVIEWS = {
    "depth": """
        SELECT conid, count() AS states, countIf(two_sided) AS two_sided,
               countIf(crossed) AS crossed, countIf(NOT complete) AS warm_up,
               max(received_at) AS last_state
        FROM depth WHERE trade_date = {day:Date} GROUP BY conid ORDER BY conid LIMIT 20
    """,
    "bars": """
        SELECT conid, bar_start, frames, mid_open, mid_high, mid_low, mid_close,
               round(spread_time_weighted, 6) AS spread, complete
        FROM bars WHERE trade_date = {day:Date} AND bar_size = '1m'
        ORDER BY bar_start DESC, conid LIMIT 10
    """,
    "quality_report": """
        SELECT contract, paper_user, verdict, round(coverage * 100, 3) AS coverage_percent,
               gaps, ladder_frames, two_sided, crossed, frames_lost,
               arrayStringConcat(reasons, '; ') AS reasons
        FROM quality_report WHERE trade_date = {day:Date} ORDER BY contract LIMIT 50
    """,
}


def asset_metadata(client: Client, table: str, result: BuildResult) -> dict[str, Any]:
    """Metadata of ``table`` after a build."""
    answer = client.query(_PREVIEWS[table], {"day": result.trade_date})
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(result.rows[table]),
        "rules": result.inputs_version,
        "preliminary": result.preliminary,
        "revised": "never" if result.revised_at is None else f"{result.revised_at:%Y-%m-%d %H:%M}",
        "preview": dg.MetadataValue.md(markdown_table(answer.column_names, answer.result_rows)),
    }


def rolls_metadata(plan: RollPlan, written: int) -> dict[str, Any]:
    """Metadata of ``rolls`` after ``written`` rows of ``plan`` were appended."""
    names = ("roll_date", "from", "to", "rule", "difference", "reason", "difference_reason")
    newest = sorted(plan.rows, key=lambda row: row.roll_date, reverse=True)[:_ROLLS_SHOWN]
    rows = [
        (
            row.roll_date, row.from_contract, row.to_contract, row.rule, row.difference,
            row.reason, row.difference_reason,
        )
        for row in newest
    ]  # fmt: skip
    unknown = [r for r in plan.rows if r.from_conid is not None and r.difference is None]
    return {
        "rolls": dg.MetadataValue.int(len(plan.rows)),
        "rows_written": dg.MetadataValue.int(written),
        "differences_unknown": dg.MetadataValue.int(len(unknown)),
        "preview": dg.MetadataValue.md(markdown_table(names, rows)),
    }


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a Markdown table; unknown values are empty cells."""
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value).replace("|", "\\|").replace("\n", " ")
