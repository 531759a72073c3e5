"""Requests as no client sends them: the endpoint answers with an error and lives on."""

from __future__ import annotations

import base64
import http.client
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import lz4.frame
import pytest
from clickhouse_connect.driver.client import Client

from ib_platform.config import ClickHouse
from ib_platform.warehouse.connect import connect, read_password
from ib_platform_tests.conftest import SERVER_VARIABLE
from ib_platform_tests.support import wait_until

NATIVE_BLOCK_ROWS = 60_000
pytestmark = pytest.mark.skipif(
    SERVER_VARIABLE in os.environ, reason="about our endpoint, not about a real server"
)


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Client]:
    client = connect(warehouse, role="tests")
    yield client
    assert client.query("SELECT 'alive'").result_rows == [("alive",)]
    client.close()


def _authorization(settings: ClickHouse) -> str:
    secret = read_password(settings).get_secret_value()
    return "Basic " + base64.b64encode(f"{settings.username}:{secret}".encode()).decode()


def _ask(
    settings: ClickHouse,
    body: bytes = b"",
    *,
    path: str = "/",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    **query: Any,
) -> tuple[int, str | None, bytes]:
    """Status, ClickHouse's code, body."""
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=60)
    headers = {"Authorization": _authorization(settings)} if headers is None else headers
    address = f"{path}?{urlencode({'database': settings.database, **query})}"
    connection.request(method, address, body, headers)
    response = connection.getresponse()
    answer = response.status, response.getheader("X-ClickHouse-Exception-Code"), response.read()
    connection.close()
    return answer


def test_ping_needs_no_password(warehouse: ClickHouse) -> None:
    assert _ask(warehouse, path="/ping", method="GET", headers={}) == (200, None, b"Ok.\n")


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        (b"SHOW TABLES LIKE 'gaps'", b"gaps\n"),
        (b"EXISTS TABLE gaps", b"1\n"),
        (b"DESCRIBE TABLE heartbeats", b"at\t"),
        (b"SHOW DATABASES LIKE 'system'", b"system\n"),
    ],
)
def test_what_a_person_types_first_needs_no_format(
    warehouse: ClickHouse, statement: bytes, answer: bytes
) -> None:
    status, code, body = _ask(warehouse, statement)
    assert (status, code) == (200, None), body
    assert body.startswith(answer)


def test_the_default_format_is_tab_separated(warehouse: ClickHouse) -> None:
    assert _ask(warehouse, b"SELECT 1, 'a'")[2] == b"1\ta\n"
    assert _ask(warehouse, b"SELECT 1 AS x", default_format="JSONEachRow")[2] == b'{"x":1}\n'
    assert _ask(warehouse, query="SELECT 2")[2] == b"2\n"
    assert _ask(warehouse, b"")[2] == b"Ok.\n"


def test_passwords_in_headers(warehouse: ClickHouse) -> None:
    secret = read_password(warehouse).get_secret_value()
    own = {"X-ClickHouse-User": warehouse.username, "X-ClickHouse-Key": secret}
    assert _ask(warehouse, b"SELECT 1", headers=own)[2] == b"1\n"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-ClickHouse-Key": "wrong"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"default").decode()},
        {"Authorization": "Bearer abc"},
        {"X-ClickHouse-User": "root", "X-ClickHouse-Key": ""},
    ],
)
def test_no_password_no_answer(warehouse: ClickHouse, headers: dict[str, str]) -> None:
    status, code, body = _ask(warehouse, b"SELECT 1", headers=headers)
    assert (status, code) == (403, "516")
    assert b"AUTHENTICATION_FAILED" in body


@pytest.mark.parametrize(
    ("body", "query", "code"),
    [
        (b"\x00\xff\xfe garbage", {}, "62"),
        (b"SELECT 1", {"no such setting": "1"}, "115"),
        (b"SELECT 1", {"nosuchsetting": "1"}, "115"),
        (b"SELECT 1", {"database": "nowhere"}, "81"),
        (b"SELECT 1", {"session_id": "a", "session_check": "1"}, "372"),
        (b"SELECT 1", {"session_id": "a", "session_timeout": "soon"}, "36"),
        (b"SELECT 1", {"compress": "1"}, "48"),
        (b"SELECT {x:UInt8}", {}, "456"),
        (b"SELECT {x:UInt8}", {"param_x": "word"}, "457"),
        (b"SELECT 1; DROP DATABASE default", {}, "62"),
        (b"INSERT INTO nowhere FORMAT TSV\n1\n", {}, "60"),
    ],
)
def test_bad_requests_get_a_code(
    client: Client, warehouse: ClickHouse, body: bytes, query: dict[str, Any], code: str
) -> None:
    status, found, text = _ask(warehouse, body, **query)
    assert status >= 400
    assert found == code, text
    assert text.startswith(f"Code: {code}. ".encode())


def test_unknown_paths_and_methods(client: Client, warehouse: ClickHouse) -> None:
    assert _ask(warehouse, path="/nowhere")[0] == 404
    assert _ask(warehouse, method="GET", query="DROP TABLE frames")[1] == "164"
    assert _ask(warehouse, method="GET", query="INSERT INTO frames FORMAT TSV")[1] == "164"
    assert _ask(warehouse, method="GET", query="SELECT 1")[2] == b"1\n"


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_a_body_in_the_wrong_encoding(client: Client, warehouse: ClickHouse, encoding: str) -> None:
    headers = {"Authorization": _authorization(warehouse), "Content-Encoding": encoding}
    assert _ask(warehouse, b"SELECT 1", headers=headers)[1] == "33"
    assert _ask(warehouse, b"x" * 300_000, headers=headers)[1] == "33"


def test_an_encoding_that_nobody_knows(client: Client, warehouse: ClickHouse) -> None:
    headers = {"Authorization": _authorization(warehouse), "Content-Encoding": "snappy"}
    assert _ask(warehouse, b"SELECT 1", headers=headers)[1] == "48"


def test_a_compressed_body_that_is_cut_short(client: Client, warehouse: ClickHouse) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    body = lz4.frame.compress(b"INSERT INTO t FORMAT TSV\n" + b"1\n" * 400_000)
    headers = {"Authorization": _authorization(warehouse), "Content-Encoding": "lz4"}
    assert _ask(warehouse, body[:-20], headers=headers)[1] == "33"
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_forms(client: Client, warehouse: ClickHouse) -> None:
    headers = {
        "Authorization": _authorization(warehouse),
        "Content-Type": "multipart/form-data; boundary=xx",
    }
    form = (
        b'--xx\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {a:String}\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="param_a"\r\n\r\nhello\r\n'
    )
    assert _ask(warehouse, form + b"--xx--\r\n", headers=headers)[2] == b"hello\n"
    file = b'--xx\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n1\r\n--xx--\r\n'
    assert _ask(warehouse, form + file, headers=headers)[1] == "48"
    headers["Content-Type"] = "multipart/form-data"
    assert _ask(warehouse, form, headers=headers)[1] == "36"


def test_a_session_is_locked_while_it_works(client: Client, warehouse: ClickHouse) -> None:
    def slow() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(warehouse.host, warehouse.port, timeout=60)
        connection.request(
            "POST",
            "/?session_id=busy",
            b"SELECT count() FROM system.numbers WHERE NOT ignore(number)",
            {"Authorization": _authorization(warehouse)},
        )
        return connection

    connection = slow()
    wait_until(
        lambda: _ask(warehouse, b"SELECT 1", session_id="busy")[1] == "373", "a locked session"
    )
    # Whoever asked is gone: the statement is cancelled, the session free again.
    connection.close()
    wait_until(
        lambda: _ask(warehouse, b"SELECT 1", session_id="busy")[2] == b"1\n", "the free session"
    )


def test_a_session_is_forgotten_after_its_timeout(client: Client, warehouse: ClickHouse) -> None:
    options: dict[str, Any] = {"session_id": "short", "session_timeout": "1"}
    assert _ask(warehouse, b"CREATE TEMPORARY TABLE mine (a UInt8)", **options)[0] == 200
    assert _ask(warehouse, b"SELECT count() FROM mine", **options)[2] == b"0\n"
    assert _ask(warehouse, b"SELECT count() FROM mine", session_id="other")[1] == "60"
    # Asking for the session would prolong it: its table shows in no other way that it is gone.
    forgotten: dict[str, Any] = {"session_id": "at once", "session_timeout": "0"}
    assert _ask(warehouse, b"CREATE TEMPORARY TABLE mine (a UInt8)", **forgotten)[0] == 200
    assert _ask(warehouse, b"SELECT 1", session_check="1", **forgotten)[1] == "372"


def _send_part_of_an_insert(warehouse: ClickHouse, client: Client, *, chunked: bool) -> None:
    """One whole block of an INSERT that announces more, then hang up."""
    block = client.raw_query(
        f"SELECT toUInt64(number) AS a FROM numbers({NATIVE_BLOCK_ROWS})", fmt="Native"
    )
    head = b"INSERT INTO t (a) FORMAT Native\n"
    lines = [
        f"POST /?database={warehouse.database} HTTP/1.1",
        "Host: test",
        f"Authorization: {_authorization(warehouse)}",
        "Transfer-Encoding: chunked" if chunked else f"Content-Length: {10 * len(block)}",
    ]
    data = head + block
    if chunked:
        data = f"{len(data):x}\r\n".encode() + data + b"\r\n"
    with socket.create_connection((warehouse.host, warehouse.port)) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t (a)%'"
        wait_until(lambda: client.query(running).result_rows == [(1,)], "the insert to begin")
    wait_until(lambda: client.query(running).result_rows == [(0,)], "the insert to end")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_insert_whose_client_hangs_up_stores_nothing(
    client: Client, warehouse: ClickHouse, chunked: bool
) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    for _ in range(3):
        _send_part_of_an_insert(warehouse, client, chunked=chunked)
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_a_reader_that_hangs_up_ends_its_query(client: Client, warehouse: ClickHouse) -> None:
    request = (
        f"POST / HTTP/1.1\r\nHost: test\r\nAuthorization: {_authorization(warehouse)}\r\n"
        "Content-Length: 33\r\n\r\nSELECT number FROM system.numbers"
    )
    with socket.create_connection((warehouse.host, warehouse.port)) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT number FROM%'"
    wait_until(lambda: client.query(running).result_rows == [(0,)], "the query to end")


def test_a_failing_insert_does_not_wait_for_its_data(client: Client, warehouse: ClickHouse) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    body = b"INSERT INTO t FORMAT TSV\n" + b"word\n" * 2_000_000
    status, code, text = _ask(warehouse, body)
    assert status == 500
    assert code is not None
    assert b"Cannot parse input" in text


def test_a_long_address(client: Client, warehouse: ClickHouse) -> None:
    text = "x" * 200_000
    assert _ask(warehouse, b"SELECT length({x:String})", param_x=text)[2] == b"200000\n"
