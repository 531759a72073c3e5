"""The one way to ClickHouse: a clickhouse-connect client over HTTP.

A server of production and the embedded engine differ in their address only. Clients carry no
session, so threads may share one and a retry never meets the lock of a session that died.
Importing this module costs about 0.1 s and 20 MB; numpy, pandas and pyarrow stay unimported until
a method of the client needs them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from clickhouse_connect.driver.httputil import default_pool_manager
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from ib_platform import __version__
from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError

# Every error is raised too; a warning beside each would drown the log of a retrying caller.
for _library in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_library).setLevel(logging.ERROR)

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 300

AUTHENTICATION_FAILED = 516
UNKNOWN_DATABASE = 81

TRANSIENT_CODES = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED: the statement ran too long on a busy server
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR between servers
        225,  # NO_ZOOKEEPER: Keeper is away
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED: other statements hold the memory
        242,  # TABLE_IS_READ_ONLY: the replica lost Keeper
        243,  # NOT_ENOUGH_SPACE: the disk of the server is full
        252,  # TOO_MANY_PARTS: merges are behind
        279,  # ALL_CONNECTION_TRIES_FAILED between servers
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT: the deduplication token makes the retry harmless
        373,  # SESSION_IS_LOCKED
        394,  # QUERY_WAS_CANCELLED: the embedded engine stops, or a person killed the query
        439,  # CANNOT_SCHEDULE_TASK: no thread is free
        473,  # DEADLOCK_AVOIDED: a concurrent ALTER holds the table
        999,  # KEEPER_EXCEPTION
    }
)
"""Codes of ClickHouse's src/Common/ErrorCodes.cpp that the same statement may survive later."""

REFUSAL_CODES = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
        691,  # UNKNOWN_ELEMENT_OF_ENUM
    }
)
"""Codes with which ClickHouse refuses rows for what is in them, from the same file."""

_TRANSIENT_STATUS = re.compile(r"HTTP status (429|502|503|504)\b")
_CODE = re.compile(r"\bCode: (\d+)\.")
_SAID = re.compile(r"DB::Exception: (.+?)(?: \(for url \S+\))?\s*$", re.DOTALL)


def read_password(settings: ClickHouse) -> SecretStr:
    """The password of ``settings.password_file``, read now; empty where no file is named.

    Raises:
        WarehouseError: the file cannot be read. Transient while it does not exist: the embedded
            server writes it at its first start.
    """
    file = settings.password_file
    if file is None:
        return SecretStr("")
    try:
        return SecretStr(file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise WarehouseError(
            f"{file}: the password of ClickHouse cannot be read ({error.strerror}). Start "
            "`ib-platform clickhouse` once, it writes the file, or set clickhouse.password_file."
        ) from error


def connect(
    settings: ClickHouse,
    *,
    role: str = "platform",
    database: str | None = None,
    connect_timeout: int = CONNECT_TIMEOUT,
    read_timeout: int = READ_TIMEOUT,
) -> Client:
    """A new client that has spoken with the server; close it when done.

    ``role`` names the caller in the server's query log. ``database`` defaults to
    ``settings.database``. Timeouts are seconds. Threads may share the client.

    Raises:
        WarehouseError: no answer, wrong password, unknown database; ``is_transient`` tells
            whether trying again may help.
    """
    password = read_password(settings)
    with warehouse_errors(settings, "connect"):
        return clickhouse_connect.get_client(
            interface="https" if settings.secure else "http",
            host=settings.host,
            port=settings.port,
            username=settings.username,
            password=password.get_secret_value(),
            database=database or settings.database,
            connect_timeout=connect_timeout,
            send_receive_timeout=read_timeout,
            client_name=f"ib_platform/{__version__} {role}",
            autogenerate_session_id=False,
            # Only the default pool ignores http_proxy; loopback must never go through a proxy.
            pool_mgr=default_pool_manager() if _is_loopback(settings.host) else None,
        )


@contextmanager
def warehouse_errors(settings: ClickHouse, doing: str) -> Iterator[None]:
    """Turn errors of clickhouse-connect into WarehouseError that names the server and ``doing``."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise WarehouseError(_explain(settings, doing, error)) from error


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed later without anybody changing anything.

    True for network errors and TRANSIENT_CODES, also behind a WarehouseError. Inserts need their
    deduplication token for a harmless retry.
    """
    if isinstance(error, ClickHouseError):
        code = error_code(error)
        if code is not None:
            return code in TRANSIENT_CODES
        # Without a code the server itself did not answer: a broken connection or a proxy's page.
        return isinstance(error, OperationalError) or bool(_TRANSIENT_STATUS.search(str(error)))
    if isinstance(error, HTTPError | OSError):
        return True
    cause = error.__cause__
    return isinstance(error, WarehouseError) and cause is not None and is_transient(cause)


def is_refusal(error: BaseException) -> bool:
    """Whether ClickHouse refuses these rows for their content: trying again changes nothing."""
    return error_code(error) in REFUSAL_CODES


def error_code(error: BaseException) -> int | None:
    """ClickHouse's code of ``error`` or of what caused it; None when the server gave none."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    if isinstance(error, ClickHouseError) and (found := _CODE.search(str(error))):
        return int(found[1])
    return None if error.__cause__ is None else error_code(error.__cause__)


def words_of_server(error: BaseException) -> str:
    """What ClickHouse itself said, without what the client and we put around it; else all of it."""
    found = _SAID.search(str(error))
    return str(error) if found is None else found[1]


def kind_of_error(error: BaseException) -> str:
    """What stays the same while one trouble lasts: classes and ClickHouse's code.

    The text does not: it names the query, which has another id each time.
    """
    names = []
    cause: BaseException | None = error
    while cause is not None:
        names.append(type(cause).__name__)
        cause = cause.__cause__
    return f"{' < '.join(names)} {error_code(error)}"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _explain(settings: ClickHouse, doing: str, error: Exception) -> str:
    where = f"ClickHouse at {settings.host}:{settings.port}: {doing}"
    code = error_code(error)
    if code == AUTHENTICATION_FAILED:
        return (
            f"{where}: the password of user {settings.username!r} is refused. Is "
            f"{settings.password_file} the file of the server that listens there?"
        )
    if code == UNKNOWN_DATABASE:
        return (
            f"{where}: database {settings.database!r} does not exist. Create it with "
            "`ib-platform migrate`."
        )
    if code is None and is_transient(error):
        return (
            f"{where}: no answer ({error}). Is `ib-platform clickhouse` running, or is "
            "clickhouse.host or clickhouse.port wrong?"
        )
    return f"{where}: {error}"


__all__ = [
    "TRANSIENT_CODES",
    "Client",
    "connect",
    "error_code",
    "is_transient",
    "kind_of_error",
    "read_password",
    "warehouse_errors",
]
