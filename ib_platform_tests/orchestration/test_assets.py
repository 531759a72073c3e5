"""The data side of Dagster, run in process against a real ClickHouse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ib_platform.config import CONFIG_VARIABLE, ClickHouse, dump_config
from ib_platform.definitions import defs
from ib_platform.orchestration.columns import table_schema
from ib_platform.orchestration.previews import markdown_table
from ib_platform.warehouse.checks.catalogue import CHECKS
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full
from ib_platform_tests.warehouse.series import resolve

KEY = "2026-11-18"
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
TABLES = ("depth", "bars", "quality_report")


@pytest.fixture
def client(warehouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the database that IB_PLATFORM_CONFIG names."""
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(make_config(tmp_path, clickhouse=warehouse)))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    connection = connect(warehouse)
    yield connection
    connection.close()


@pytest.fixture
def record(client: Any) -> Recorder:
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 60 * SECOND)
    recorder = Recorder("r")
    for second in range(0, 100, 5):
        recorder.ladder(NOON + second * SECOND, 1, full())
    recorder.insert(client)
    return recorder


def run(job: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    found = defs().resolve_job_def(job)
    return found.execute_in_process(partition_key=KEY, instance=instance, raise_on_error=False)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def metadata(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("compaction") and [
        event
        for event in result.asset_materializations_for_node("compaction")
        if event.asset_key == dg.AssetKey(table)
    ]
    return {name: value.value for name, value in event.metadata.items()}


def test_finalizing_a_date(client: Any, record: Recorder, instance: dg.DagsterInstance) -> None:
    result = run("finalize_date_job", instance)
    assert result.success
    for table in TABLES:
        (rows,) = client.query(f"SELECT count() FROM {table}").result_rows[0]
        found = metadata(result, table)
        assert found["dagster/partition_row_count"] == rows > 0
        assert found["preview"].startswith("| con")
    found = metadata(result, "quality_report")
    page = Path(found["page"])
    assert page.name == f"quality_{KEY}.html"
    assert f"Quality of trade date {KEY}" in page.read_text(encoding="utf-8")
    assert found["page_link"] == page.as_uri()
    assert "](data:image/png;base64," in found["through_the_day"]
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert set(checks) == {
        "bars_sound",
        "quality_verdict",
        "spool_balance",
        "frames_verified",
        "nothing_quarantined",
        *(check.asset_check for check in CHECKS),
    }
    assert checks["q06_own_sequence"].passed
    assert checks["nothing_quarantined"].passed
    assert checks["frames_verified"].passed
    assert checks["frames_verified"].metadata["frames_stored"].value == len(record.frames)
    assert checks["bars_sound"].passed
    assert checks["spool_balance"].passed
    assert {check.metadata["trade_date"].value for check in checks.values()} == {KEY}


def test_checks_report_what_is_wrong(
    client: Any, record: Recorder, instance: dg.DagsterInstance
) -> None:
    client.command("TRUNCATE TABLE frames")
    client.insert("frames", [*record.frames[:5], *record.frames[6:]])
    result = run("finalize_date_job", instance)
    assert result.success, "a failed check alerts, it does not fail the run"
    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not checks["spool_balance"].passed
    assert checks["spool_balance"].severity is dg.AssetCheckSeverity.ERROR
    assert not checks["quality_verdict"].passed
    assert checks["quality_verdict"].severity is dg.AssetCheckSeverity.WARN
    verified = checks["frames_verified"]
    assert not verified.passed
    assert verified.severity is dg.AssetCheckSeverity.ERROR
    assert verified.description == "r: not stored: seq 5"
    holes = checks["q06_own_sequence"]
    assert not holes.passed
    assert holes.severity is dg.AssetCheckSeverity.ERROR
    assert holes.description == (
        "CL.NYMEX.front: 1 numbers are missing between the 19 stored frames of the pod"
    )
    assert verified.metadata["frames_unexplained"].value == 1
    assert "| r | missing | unexplained | 1 |" in str(verified.metadata["findings"].value)
    assert "spool balance" in str(checks["quality_verdict"].metadata["rows"].value)


def test_the_record_can_be_verified_alone(
    client: Any, record: Recorder, instance: dg.DagsterInstance
) -> None:
    """By hand in the UI, without a partition: then the newest report names the date."""
    assert run("finalize_date_job", instance).success
    key = dg.AssetCheckKey(dg.AssetKey("frames"), "frames_verified")
    job = defs().resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection={key}).execute_in_process(
        instance=instance
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.metadata["trade_date"].value == KEY


def test_finalizing_a_date_keeps_the_rolls(
    client: Any, record: Recorder, instance: dg.DagsterInstance
) -> None:
    day, expiry = date(2026, 11, 18), date(2026, 11, 19)
    resolve(client, "front", 1, day, expiry=expiry, hour=20, product="CL.NYMEX")
    for written in (1, 0):
        (event,) = run("finalize_date_job", instance).asset_materializations_for_node("rolls")
        assert event.metadata["rows_written"].value == written
    assert "| 2026-11-18 |  | CL.NYMEX.2026-11 | last_trade |" in str(
        event.metadata["preview"].value
    )
    assert client.query("SELECT to_conid, decided_by FROM rolls").result_rows == [
        (1, "asset rolls")
    ]


def test_refreshing_the_open_date(
    client: Any, record: Recorder, instance: dg.DagsterInstance
) -> None:
    result = run("refresh_open_date_job", instance)
    assert result.success
    made = {
        e.asset_key.to_user_string() for e in result.asset_materializations_for_node("compaction")
    }
    assert made == {"bars", "quality_report"}
    assert result.get_asset_check_evaluations() == []
    assert client.query("SELECT count() FROM depth").result_rows == [(0,)]


def test_an_error_of_the_platform_fails_the_run_with_its_own_words(
    client: Any, record: Recorder, instance: dg.DagsterInstance
) -> None:
    client.command("DROP TABLE bars")
    result = run("finalize_date_job", instance)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "build of trade date 2026-11-18" in str(failure.step_failure_data.error)


def test_heavy_libraries_are_not_loaded_with_the_definitions() -> None:
    script = (
        "import sys, ib_platform.definitions as d; d.defs(); "
        "heavy = {'pyarrow', 'pandas', 'clickhouse_connect', 'chdb', 'matplotlib'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_every_asset_states_its_grain() -> None:
    graph = defs().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description is not None
        assert node.description.startswith("One row per "), key
        assert node.owners == ["team:market-data"]
        assert "clickhouse" in node.kinds
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert schema.columns[0].name == (
            "product" if key == dg.AssetKey("rolls") else "trade_date"
        )


@pytest.mark.parametrize(
    "table",
    [
        "frames",
        *TABLES,
        "gaps",
        "phases",
        "builds",
        "contracts",
        "spells",
        "quality_checks",
        "rolls",
    ],
)
def test_the_catalog_shows_the_columns_of_the_database(client: Any, table: str) -> None:
    described = client.query(f"DESCRIBE TABLE {table}").result_rows
    shown = [
        (column.name, column.type, column.description or "")
        for column in table_schema(table).columns
    ]
    assert shown == [(row[0], row[1], row[4]) for row in described]


def test_an_unknown_table_has_no_schema() -> None:
    with pytest.raises(KeyError, match="no migration"):
        table_schema("nowhere")


def test_previews_leave_unknown_cells_empty() -> None:
    assert markdown_table(["a", "b"], [(None, "x|y")]) == "| a | b |\n|---|---|\n|  | x\\|y |"
