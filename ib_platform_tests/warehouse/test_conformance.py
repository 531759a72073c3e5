"""What the platform uses of ClickHouse through clickhouse-connect.

Runs against the embedded engine, or against the server of IB_PLATFORM_TEST_CLICKHOUSE_URL: both
must answer alike.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from ib_platform.config import ClickHouse
from ib_platform.warehouse.connect import connect, read_password

BIG = 400_000


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Client]:
    client = connect(warehouse, role="conformance")
    yield client
    client.close()


def _client_with(settings: ClickHouse, **arguments: Any) -> Client:
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        secure=settings.secure,
        username=settings.username,
        password=read_password(settings).get_secret_value(),
        database=settings.database,
        **arguments,
    )


def _create_deltas(client: Client, name: str = "deltas") -> None:
    client.command(
        f"""
        CREATE TABLE {name} (trade_date Date, at DateTime64(9, 'UTC'), seq UInt64,
            price Nullable(Decimal(18, 9)), sizes Array(Nullable(Int32)),
            prefix LowCardinality(Nullable(String)), tags Map(String, UInt32), payload String)
        ENGINE = MergeTree PARTITION BY trade_date ORDER BY seq
        SETTINGS non_replicated_deduplication_window = 100
        """
    )


def _deltas(seqs: range, days: int = 1) -> pa.Table:
    return pa.table(
        {
            "trade_date": pa.array([date(2025, 11, 3 + seq % days) for seq in seqs], pa.date32()),
            "at": pa.array(
                [1_762_000_000_000_000_001 + s for s in seqs], pa.timestamp("ns", "UTC")
            ),
            "seq": pa.array(list(seqs), pa.uint64()),
            "price": pa.array(
                [None if seq % 3 else Decimal("58.280000001") for seq in seqs],
                pa.decimal128(18, 9),
            ),
            "sizes": pa.array([[seq, None, -1] for seq in seqs], pa.list_(pa.int32())),
            "prefix": pa.array([None if seq % 2 else "C" for seq in seqs], pa.string()),
            "tags": pa.array([[("a", 1)]] * len(seqs), pa.map_(pa.string(), pa.uint32())),
            "payload": pa.array([f"frame {seq}" for seq in seqs], pa.string()),
        }
    )


def _count(client: Client, table: str = "deltas") -> int:
    return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])


def test_rows_go_in_and_come_out(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, b Nullable(String)) ENGINE = MergeTree ORDER BY a")

    summary = client.insert("t", [[2, None], [1, "one"]], column_names=["a", "b"])

    assert summary.written_rows == 2
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == [(1, "one"), (2, None)]


def test_arrow_keeps_every_type(client: Client) -> None:
    _create_deltas(client)
    sent = _deltas(range(6))

    client.insert_arrow("deltas", sent)

    columns = ", ".join(sent.column_names)
    received = client.query_arrow(
        f"SELECT {columns} FROM deltas ORDER BY seq", use_strings=True
    ).to_pylist()
    assert [row["price"] for row in received] == sent["price"].to_pylist()
    assert [row["sizes"] for row in received] == sent["sizes"].to_pylist()
    assert [row["prefix"] for row in received] == sent["prefix"].to_pylist()
    assert [row["tags"] for row in received] == [[("a", 1)]] * 6
    nanoseconds = client.query("SELECT toUnixTimestamp64Nano(at) FROM deltas ORDER BY seq")
    assert nanoseconds.result_columns[0] == [1_762_000_000_000_000_001 + seq for seq in range(6)]


def test_one_token_stores_once_across_two_partitions(client: Client) -> None:
    _create_deltas(client)
    for _ in range(3):
        client.insert_arrow(
            "deltas", _deltas(range(100), days=2), settings={"insert_deduplication_token": "a"}
        )
    assert _count(client) == 100
    client.insert_arrow(
        "deltas", _deltas(range(100), days=2), settings={"insert_deduplication_token": "b"}
    )
    assert _count(client) == 200
    parts = "SELECT uniqExact(partition) FROM system.parts WHERE active AND table = 'deltas' "
    parts += "AND database = currentDatabase()"
    assert client.query(parts).result_rows == [(2,)]


def test_a_token_holds_for_insert_select(client: Client) -> None:
    _create_deltas(client)
    _create_deltas(client, "target")
    client.insert_arrow("deltas", _deltas(range(10)))
    for _ in range(2):
        client.command(
            "INSERT INTO target SELECT * FROM deltas ORDER BY ALL",
            settings={"insert_deduplication_token": "copy"},
        )
    assert _count(client, "target") == 10


def test_a_big_insert_and_a_big_read(client: Client) -> None:
    _create_deltas(client)
    assert client.insert_arrow("deltas", _deltas(range(BIG))).written_rows == BIG

    table = client.query_arrow("SELECT seq, payload, sizes FROM deltas")
    assert table.num_rows == BIG
    rows = client.query("SELECT seq, payload FROM deltas").result_rows
    assert {row[0] for row in rows} == set(range(BIG))
    with client.query_row_block_stream("SELECT seq FROM deltas") as stream:
        blocks = [len(block) for block in stream]
    assert sum(blocks) == BIG
    assert len(blocks) > 1


def test_rows_of_python_objects_in_several_blocks(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    rows = [[number, "x" * 40] for number in range(200_000)]
    client.insert("t", rows, column_names=["a", "s"])
    assert _count(client, "t") == len(rows)


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_every_compression_both_ways(warehouse: ClickHouse, compress: str | bool) -> None:
    client = _client_with(warehouse, compress=compress)
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    rows = [(number, f"row {number}") for number in range(150_000)]

    client.insert("t", rows, column_names=["a", "s"])

    assert client.query("SELECT * FROM t ORDER BY a").result_rows == rows
    with client.query_rows_stream("SELECT * FROM t ORDER BY a") as stream:
        assert list(stream) == rows
    client.close()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", None])
def test_raw_inserts_in_text(client: Client, compression: str | None) -> None:
    import gzip

    import lz4.frame
    import zstandard

    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    data = b'{"a": 1, "s": "one"}\n{"a": 2, "s": "two"}\n'
    encode = {
        "lz4": lz4.frame.compress,
        "zstd": zstandard.ZstdCompressor().compress,
        "gzip": gzip.compress,
        None: bytes,
    }[compression]
    client.raw_insert("t", insert_block=encode(data), fmt="JSONEachRow", compression=compression)
    client.raw_insert("t", insert_block=(line for line in [b"3\tthree\n", b"4\tfour\n"]), fmt="TSV")
    client.command("INSERT INTO t VALUES (5, 'five; (really)'), (6, 'six')")
    assert client.query("SELECT a FROM t ORDER BY a").result_columns == [[1, 2, 3, 4, 5, 6]]


def test_bound_parameters(client: Client) -> None:
    nasty = "it's \\ a `tab`\t and\na line; -- no comment"
    result = client.query(
        "SELECT {text:String}, {list:Array(String)}, {none:Nullable(Int32)}, {day:Date}, "
        "{price:Decimal(18, 9)}",
        parameters={
            "text": nasty,
            "list": ["a", nasty],
            "none": None,
            "day": date(2025, 11, 3),
            "price": Decimal("58.25"),
        },
    )
    assert result.result_rows == [
        (nasty, ["a", nasty], None, date(2025, 11, 3), Decimal("58.250000000"))
    ]
    client.command("CREATE TABLE `odd name` (a UInt8) ENGINE = Memory")
    client.command("INSERT INTO {t:Identifier} VALUES (7)", parameters={"t": "odd name"})
    found = client.query("SELECT a FROM {t:Identifier}", parameters={"t": "odd name"})
    assert found.result_rows == [(7,)]


def test_parameters_too_long_for_an_address(client: Client) -> None:
    names = [f"contract-{number}" for number in range(20_000)]
    found = client.query("SELECT length({names:Array(String)})", parameters={"names": names})
    assert found.result_rows == [(20_000,)]


def test_settings_hold_for_one_query(client: Client) -> None:
    sql = "SELECT getSetting('max_block_size')"
    before = client.query(sql).result_rows
    assert client.query(sql, settings={"max_block_size": 1234}).result_rows == [(1234,)]
    assert client.query(sql).result_rows == before
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT 1", settings={"max_execution_time": "soon"})
    assert caught.value.code is not None


def test_a_session_keeps_temporary_tables_and_settings(warehouse: ClickHouse) -> None:
    client = _client_with(warehouse, session_id="conformance", autogenerate_session_id=False)
    client.command("CREATE TEMPORARY TABLE picked (a UInt64)")
    client.insert("picked", [[1], [2]], column_names=["a"])
    client.command("SET max_block_size = 4321")
    assert client.query("SELECT sum(a) FROM picked").result_rows == [(3,)]
    one_off = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 99})
    assert one_off.result_rows == [(99,)]
    kept = client.query("SELECT getSetting('max_block_size'), currentDatabase()")
    assert kept.result_rows == [(4321, warehouse.database)]
    client.close()

    other = connect(warehouse)
    with pytest.raises(DatabaseError) as caught:
        other.query("SELECT * FROM picked")
    assert (caught.value.code, caught.value.name) == (60, "UNKNOWN_TABLE")
    other.close()


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT nope", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_errors_have_code_and_name(client: Client, sql: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.command(sql)
    assert (caught.value.code, caught.value.name) == (code, name)
    with pytest.raises(DatabaseError) as caught, client.query_rows_stream(sql) as stream:
        list(stream)
    assert caught.value.code == code
    assert client.query("SELECT 1").result_rows == [(1,)]


def test_an_error_in_the_middle_of_a_stream(client: Client) -> None:
    sql = "SELECT throwIf(number = 900000) FROM numbers(1000000)"
    settings = {"max_threads": 1, "max_block_size": 10_000}
    seen: list[tuple[int]] = []
    with (
        pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        client.query_rows_stream(sql, settings=settings) as stream,
    ):
        seen.extend(stream)
    assert 0 < len(seen) < 1_000_000
    assert client.query("SELECT 1").result_rows == [(1,)]


def test_a_failed_insert_says_why_and_stores_nothing(client: Client) -> None:
    client.command(
        "CREATE TABLE t (a UInt64, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a"
    )
    with pytest.raises(DatabaseError) as caught:
        client.insert("t", [[1], [11]], column_names=["a"])
    assert caught.value.code == 469
    with pytest.raises(DatabaseError) as caught:
        client.command("INSERT INTO t VALUES (1), (11)")
    assert caught.value.code == 469
    with pytest.raises(DatabaseError) as caught:
        client.command("INSERT INTO t SELECT number FROM numbers(12)")
    assert caught.value.code == 469
    with pytest.raises(DatabaseError):
        client.raw_insert("t", insert_block=b"1\nword\n", fmt="TSV")
    assert _count(client, "t") == 0


def test_a_query_while_streaming(client: Client) -> None:
    with client.query_rows_stream("SELECT number FROM numbers(300000)") as stream:
        iterator = iter(stream)
        assert next(iterator) == (0,)
        assert client.query("SELECT 2").result_rows == [(2,)]
        assert sum(1 for _ in iterator) == 299_999


def test_an_empty_result(client: Client) -> None:
    _create_deltas(client)
    assert client.query("SELECT * FROM deltas").result_rows == []
    assert client.query("SELECT seq, at FROM deltas LIMIT 0").column_names == ("seq", "at")
    assert client.query_arrow("SELECT seq FROM deltas").num_rows == 0
    assert client.command("SELECT seq FROM deltas") == ""
    with client.query_rows_stream("SELECT * FROM deltas") as stream:
        assert list(stream) == []


def test_text_and_bytes_survive(client: Client) -> None:
    client.command("CREATE TABLE t (id UInt8, s String) ENGINE = MergeTree ORDER BY id")
    columns = ["id", "s"]
    text = "Größe 深度 \U0001f4c8 \x00 '\\"
    binary = bytes(range(256))
    client.insert("t", [[1, text]], column_names=columns)
    client.insert("t", [[2, binary]], column_names=columns, column_type_names=["UInt8", "String"])
    assert client.query("SELECT s FROM t WHERE id = 1").result_rows == [(text,)]
    found = client.query("SELECT s FROM t WHERE id = 2", query_formats={"String": "bytes"})
    assert found.result_rows == [(binary,)]
    literal = client.query("SELECT 'Größe 深度' AS größe".replace("größe", "g"))
    assert literal.result_rows == [("Größe 深度",)]


def test_replace_partition_from_a_staging_table(client: Client) -> None:
    _create_deltas(client)
    client.insert_arrow("deltas", _deltas(range(10), days=2))
    client.command("CREATE TABLE stage AS deltas")
    client.insert_arrow("stage", _deltas(range(100, 140, 2), days=2))

    client.command("ALTER TABLE deltas REPLACE PARTITION '2025-11-03' FROM stage")
    client.command("DROP TABLE stage SYNC")

    found = client.query("SELECT trade_date, count(), min(seq) FROM deltas GROUP BY 1 ORDER BY 1")
    assert found.result_rows == [(date(2025, 11, 3), 20, 100), (date(2025, 11, 4), 5, 1)]


def test_the_window_that_carries_a_ladder_forward(client: Client) -> None:
    rows = client.query(
        """
        SELECT anyLastForEach(sizes) OVER (ORDER BY seq) FROM values(
            'seq UInt8, sizes Array(Nullable(Int32))',
            (1, [5, NULL, -3]), (2, [NULL, 7, NULL]), (3, [0, NULL, NULL]))
        ORDER BY seq
        """
    ).result_rows
    assert rows == [([5, None, -3],), ([5, 7, -3],), ([0, 7, -3],)]


def test_replacing_rows_under_final(client: Client) -> None:
    client.command(
        "CREATE TABLE t (k UInt8, version UInt16, v String) "
        "ENGINE = ReplacingMergeTree(version) ORDER BY k"
    )
    for version in (2, 1, 3):
        client.insert("t", [[1, version, f"v{version}"]], column_names=["k", "version", "v"])
    assert client.query("SELECT version, v FROM t FINAL").result_rows == [(3, "v3")]


def test_instants_are_utc(client: Client) -> None:
    found = client.query("SELECT toDateTime64('2025-11-03 12:00:00.123', 3, 'UTC'), timezone()")
    assert found.result_rows[0][0].replace(tzinfo=UTC) == datetime(
        2025, 11, 3, 12, 0, 0, 123_000, tzinfo=UTC
    )


def test_threads_may_share_a_client_or_not(warehouse: ClickHouse, client: Client) -> None:
    _create_deltas(client)

    def work(worker: int) -> int:
        own = connect(warehouse, role=f"worker {worker}")
        for number in range(5):
            first = (worker * 5 + number) * 100
            own.insert_arrow(
                "deltas",
                _deltas(range(first, first + 100)),
                settings={"insert_deduplication_token": f"{worker}-{number}"},
            )
            echoed = client.query("SELECT {x:UInt64}", parameters={"x": first})
            assert echoed.result_rows == [(first,)]
        own.close()
        return 500

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 3000
    found = client.query("SELECT count(), uniqExact(seq) FROM deltas").result_rows
    assert found == [(3000, 3000)]


def test_readers_see_the_old_partition_or_the_new_one(client: Client) -> None:
    _create_deltas(client)
    client.command("CREATE TABLE stage AS deltas")
    client.insert_arrow("deltas", _deltas(range(50)))
    client.insert_arrow("stage", _deltas(range(1000, 1080)))
    done = threading.Event()
    seen: set[tuple[int, int]] = set()

    def read() -> None:
        while not done.is_set():
            row = client.query("SELECT count(), min(seq) FROM deltas").result_rows[0]
            seen.add((int(row[0]), int(row[1])))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        client.command("ALTER TABLE deltas REPLACE PARTITION '2025-11-03' FROM stage")
    done.set()
    reader.join()
    assert seen <= {(50, 0), (80, 1000)}


def test_a_wrong_password(warehouse: ClickHouse) -> None:
    with pytest.raises(DatabaseError) as caught:
        clickhouse_connect.get_client(
            host=warehouse.host,
            port=warehouse.port,
            secure=warehouse.secure,
            username=warehouse.username,
            password="wrong",
        )
    assert caught.value.code == 516
    assert caught.value.name == "AUTHENTICATION_FAILED"
