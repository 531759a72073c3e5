"""Fixtures of all tests: a real ClickHouse over HTTP.

By default the embedded engine runs as a process of its own. With IB_PLATFORM_TEST_CLICKHOUSE_URL
set (``http://user:password@host:8123``) the tests use that server instead; each test still gets a
database of its own, so the user needs the right to create and drop databases.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ib_platform.config import ClickHouse
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.budgets import print_budgets
from ib_platform_tests.figures import figures, print_figures
from ib_platform_tests.secret_watch import no_secret_leaks
from ib_platform_tests.warehouse.server import EmbeddedServer

__all__ = ["figures", "no_secret_leaks"]

SERVER_VARIABLE = "IB_PLATFORM_TEST_CLICKHOUSE_URL"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    print_figures(terminalreporter)
    print_budgets(terminalreporter)


def _settings_of_url(url: str, folder: Path) -> ClickHouse:
    parts = urlsplit(url)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(unquote(parts.password or ""))
    return ClickHouse(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        secure=parts.scheme == "https",
        username=unquote(parts.username or "default"),
        password_file=password_file,
    )


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """A running ClickHouse for the whole session: the embedded engine on a free port, or the
    server of IB_PLATFORM_TEST_CLICKHOUSE_URL. Use ``warehouse`` for tables of your own."""
    folder = tmp_path_factory.mktemp("clickhouse")
    if url := os.environ.get(SERVER_VARIABLE):
        yield _settings_of_url(url, folder)
        return
    with EmbeddedServer(folder) as server:
        yield server.settings


def _database_of_its_own(server: ClickHouse) -> ClickHouse:
    return server.model_copy(update={"database": f"test_{secrets.token_hex(6)}"})


def _drop(settings: ClickHouse) -> None:
    with closing(connect(settings, role="tests", database="default")) as client:
        client.command(
            "DROP DATABASE {name:Identifier} SYNC", parameters={"name": settings.database}
        )


@pytest.fixture(scope="session")
def migrated(clickhouse_server: ClickHouse) -> Iterator[tuple[str, list[str]]]:
    """A migrated database, made once: its name, and the statements that make what is in it."""
    settings = _database_of_its_own(clickhouse_server)
    migrate(settings)
    with closing(connect(settings)) as client:
        made = client.query(
            "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() "
            "ORDER BY engine = 'View', name"
        ).result_rows
    yield settings.database, [str(statement) for (statement,) in made]
    _drop(settings)


@pytest.fixture
def warehouse(
    clickhouse_server: ClickHouse, migrated: tuple[str, list[str]]
) -> Iterator[ClickHouse]:
    """Settings with a fresh, migrated database that is dropped after the test. It is copied: the
    migrations themselves, statement by statement, would cost each test half a second."""
    template, statements = migrated
    settings = _database_of_its_own(clickhouse_server)
    with closing(connect(settings, role="tests", database="default")) as client:
        client.command(f"CREATE DATABASE {settings.database}")
        for statement in statements:
            client.command(statement.replace(f"{template}.", f"{settings.database}."))
        client.command(
            f"INSERT INTO {settings.database}.schema_migrations "
            f"SELECT * FROM {template}.schema_migrations"
        )
    yield settings
    _drop(settings)
