"""DAGSTER_HOME is complete before any of Dagster's programs starts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ib_platform.demo.dagster_home import dagster_commands, prepare_dagster_home


def test_the_databases_exist_with_one_schema_version_each(tmp_path: Path) -> None:
    home = prepare_dagster_home(tmp_path / "home")
    prepare_dagster_home(tmp_path / "home")
    assert "enabled: false" in (home / "dagster.yaml").read_text(encoding="utf-8")
    databases = sorted(home.rglob("*.db"))
    assert {"runs.db", "schedules.db", "index.db"} <= {file.name for file in databases}
    for file in databases:
        connection = sqlite3.connect(file)
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.close()
        assert len(versions) == 1, file


def test_with_a_ui_it_is_dg_dev_and_without_a_code_server_and_the_daemon(tmp_path: Path) -> None:
    ((*_, dev, _, _, _, port),) = dagster_commands(ui_port=3000, code_server_port=1, home=tmp_path)
    assert (dev, port) == ("dev", "3000")
    server, daemon = dagster_commands(ui_port=None, code_server_port=4711, home=tmp_path)
    assert "4711" in server
    assert Path(daemon[0]).name == "dagster-daemon"
    assert "port: 4711" in (tmp_path / "workspace.yaml").read_text(encoding="utf-8")
