"""ClickHouse: answers, has our schema, and its password is private."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.doctor.finding import Finding, ok, problem, warning
from ib_platform.errors import GatewayError, MigrationError, WarehouseError
from ib_platform.gateway.program import port_is_free
from ib_platform.warehouse.connect import connect, warehouse_errors
from ib_platform.warehouse.migrate import pending

CLICKHOUSE = "clickhouse"
_MEANS = "frames stay in the spools until the disk is full"


def check_clickhouse(config: PlatformConfig) -> Iterator[Finding]:
    """The server of the configuration, as a streamer meets it."""
    settings = config.clickhouse
    yield from _password_file(settings)
    if _not_started(settings):
        yield warning(
            CLICKHOUSE,
            f"the embedded server does not run (nothing listens on port {settings.port}); {_MEANS}",
            "Start it: `ib-platform clickhouse`.",
        )
        return
    try:
        client = connect(settings, role="doctor", database="default", connect_timeout=2)
        with closing(client), warehouse_errors(settings, "read its version"):
            version = client.query("SELECT version()").result_rows[0][0]
    except WarehouseError as error:
        remedy = "Start it, or correct the section clickhouse of the configuration."
        yield problem(CLICKHOUSE, f"{error}. Meanwhile {_MEANS}", remedy)
        return
    yield ok(CLICKHOUSE, f"version {version} answers at {settings.host}:{settings.port}")
    yield _schema(settings)


def _not_started(settings: ClickHouse) -> bool:
    try:
        return settings.embedded_folder is not None and port_is_free(settings.port)
    except GatewayError:
        return False


def _schema(settings: ClickHouse) -> Finding:
    try:
        missing = pending(settings)
    except (WarehouseError, MigrationError) as error:
        remedy = "Read the text; `ib-platform migrate` brings a schema up to date."
        return problem(CLICKHOUSE, f"the schema cannot be used: {error}", remedy)
    if missing:
        names = ", ".join(missing)
        text = f"migrations are missing in database {settings.database}: {names}; {_MEANS}"
        return problem(CLICKHOUSE, text, "Run `ib-platform migrate`.")
    return ok(CLICKHOUSE, f"the schema of database {settings.database} is up to date")


def _password_file(settings: ClickHouse) -> Iterator[Finding]:
    file = settings.password_file
    if file is None:
        return
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        if settings.embedded_folder is None:
            text = f"password file {file}: {error.strerror}"
            yield problem(CLICKHOUSE, text, "Write the password into it, mode 0600.")
        return
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield problem(
            CLICKHOUSE,
            f"password file {file} has mode {mode:04o}: others may use it, and change the record",
            f"Run `chmod 600 {file}`.",
        )
