"""What a backfill runs: real Dagster processes that build dates, one of them twice at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import CONFIG_VARIABLE, ClickHouse, dump_config, load_config
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform_tests.rebuild.recorded import DATES, changed, config_of, contents, record, stages

DAGSTER = Path(sys.executable).parent / "dagster"


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        record(opened)
        yield opened


def materialize(key: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """One run of a backfill of the three assets."""
    wanted = ["--select", "depth,bars,quality_report", "--partition", key]
    return subprocess.Popen(
        [DAGSTER, "asset", "materialize", *wanted, "-m", "ib_platform.definitions"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.long
def test_runs_of_one_date_at_once_leave_what_a_single_build_leaves(
    client: Any, warehouse: ClickHouse, tmp_path: Path
) -> None:
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config_of(warehouse, tmp_path)), encoding="utf-8")
    home = tmp_path / "dagster"
    home.mkdir()
    environment = {**os.environ, "DAGSTER_HOME": str(home), CONFIG_VARIABLE: str(file)}
    day = DATES[0]
    config = load_config(file)
    finalize(client, config, day)
    before = {day: contents(client, day)}
    # One after the other makes Dagster's own database; then two at once.
    runs = [materialize(str(DATES[1]), environment)]
    said = [run.communicate(timeout=300)[0] for run in runs]
    runs += [materialize(str(day), environment) for _ in range(2)]
    said += [run.communicate(timeout=300)[0] for run in runs[1:]]
    assert [run.returncode for run in runs] == [0, 0, 0], "\n".join(said)[-4000:]
    assert changed(before, {day: contents(client, day)}) == []
    assert stages(client) == []
    built = client.query(
        "SELECT count(), uniqExact(built_at) FROM (SELECT built_at FROM depth WHERE trade_date = "
        "{day:Date} UNION ALL SELECT built_at FROM builds WHERE trade_date = {day:Date})",
        {"day": day},
    ).result_rows[0]
    assert built == (len(before[day]["depth"]) + len(before[day]["builds"]), 1)
