"""connect: where failures say what to do, and which of them a retry may cure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)

from ib_platform.config import ClickHouse
from ib_platform.errors import ConfigurationError, WarehouseError
from ib_platform.warehouse.connect import (
    TRANSIENT_CODES,
    connect,
    error_code,
    is_transient,
    read_password,
    warehouse_errors,
)
from ib_platform_tests.ports import free_port


def test_a_client_works_in_its_database(warehouse: ClickHouse) -> None:
    client = connect(warehouse, role="tests")
    found = client.query("SELECT currentDatabase()").result_rows
    assert found == [(warehouse.database,)]
    client.close()
    client = connect(warehouse, role="tests", database="default")
    assert client.query("SELECT currentDatabase()").result_rows == [("default",)]
    client.close()


def test_nobody_listens(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(WarehouseError, match=f"127.0.0.1:{port}") as caught:
        connect(ClickHouse(port=port))
    assert "ib-platform clickhouse" in str(caught.value)
    assert is_transient(caught.value)


def test_a_wrong_password_is_named_but_not_shown(warehouse: ClickHouse, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("not-the-password\n")
    with pytest.raises(WarehouseError, match="refused") as caught:
        connect(warehouse.model_copy(update={"password_file": file}))
    assert str(file) in str(caught.value)
    assert "not-the-password" not in str(caught.value) + str(caught.value.__cause__)
    assert not is_transient(caught.value)
    assert error_code(caught.value) == 516


def test_an_unknown_database_asks_for_migrate(warehouse: ClickHouse) -> None:
    with pytest.raises(WarehouseError, match="ib-platform migrate") as caught:
        connect(warehouse.model_copy(update={"database": "nobody_made_this"}))
    assert not is_transient(caught.value)


def test_the_password_is_read_late_and_stays_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = ClickHouse(password_file=file)
    with pytest.raises(WarehouseError, match="password") as caught:
        read_password(settings)
    assert is_transient(caught.value), "the server writes it at its first start"
    file.write_text("s3cret\n")
    assert read_password(settings).get_secret_value() == "s3cret"
    assert "s3cret" not in repr(read_password(settings))
    assert read_password(ClickHouse()).get_secret_value() == ""


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (DatabaseError("too many parts", code=252), True),
        (DatabaseError("no such table", code=60), False),
        (OperationalError("Code: 241. DB::Exception: memory"), True),
        (OperationalError("connection reset"), True),
        (StreamFailureError("Code: 395. DB::Exception: throwIf", code=395), False),
        (DatabaseError("HTTP driver received HTTP status 502"), True),
        (DatabaseError("HTTP driver received HTTP status 404"), False),
        (ProgrammingError("wrong column count"), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (ValueError("ours"), False),
        (ConfigurationError("ours"), False),
        (WarehouseError("without a cause"), False),
    ],
)
def test_what_a_retry_may_cure(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_errors_become_ours_and_keep_their_cause() -> None:
    settings = ClickHouse(host="db.example", port=9000)
    with (
        pytest.raises(WarehouseError, match="db.example:9000: load frames") as caught,
        warehouse_errors(settings, "load frames"),
    ):
        raise DatabaseError("Code: 252. DB::Exception: Too many parts", code=252)
    assert is_transient(caught.value)
    assert error_code(caught.value) == 252
    assert 252 in TRANSIENT_CODES


def test_a_proxy_of_the_environment_is_not_used(
    warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    client = connect(warehouse)
    assert client.query("SELECT 1").result_rows == [(1,)]
    client.close()


def test_the_import_stays_light() -> None:
    heavy = ["numpy", "pandas", "pyarrow", "chdb", "dagster", "aiohttp"]
    code = (
        "import sys, ib_platform.warehouse.connect; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
