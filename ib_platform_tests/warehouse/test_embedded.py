"""The embedded server as a process: who owns it, how it ends, what it survives."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from ib_platform.config import ClickHouse
from ib_platform.errors import (
    ConfigurationError,
    MissingDependencyError,
    PlatformInUseError,
    WarehouseError,
)
from ib_platform.warehouse.connect import connect, is_transient
from ib_platform.warehouse.embedded import serve
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import wait_until
from ib_platform_tests.warehouse.server import EmbeddedServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path) as server:
        yield server


def _settings(folder: Path, **changes: object) -> ClickHouse:
    values = {
        "port": free_port(),
        "password_file": folder / "password",
        "embedded_folder": folder / "engine",
    }
    return ClickHouse(**{**values, **changes})  # type: ignore[arg-type]


def test_it_says_where_it_listens_and_ends_cleanly(server: EmbeddedServer) -> None:
    port = server.settings.port
    line = rf"embedded ClickHouse \d+\.\S+ on http://127\.0\.0\.1:{port}, data in /.*engine\n"
    assert re.fullmatch(line, server.output())
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(server.process.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]

    assert server.stop() == 0

    assert "Traceback" not in server.output()
    assert not (server.settings.embedded_folder or Path()).joinpath("owner.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_keeps_the_data(tmp_path: Path, number: signal.Signals) -> None:
    server = EmbeddedServer(tmp_path)
    with server:
        client = server.connect()
        client.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        client.insert("t", [[1], [2]], column_names=["a"])
        client.close()
        server.process.send_signal(number)
        assert server.wait() == 0
    with server:
        client = server.connect()
        assert client.query("SELECT sum(a) FROM t").result_rows == [(3,)]
        client.close()


def test_a_stop_cancels_what_runs_too_long(server: EmbeddedServer) -> None:
    errors: list[ClickHouseError] = []
    client = server.connect()

    def endless() -> None:
        try:
            client.query("SELECT count() FROM system.numbers WHERE NOT ignore(number)")
        except ClickHouseError as error:
            errors.append(error)

    thread = threading.Thread(target=endless)
    thread.start()
    watcher = server.connect()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%system.numbers WHERE%'"
    wait_until(lambda: watcher.query(running).result_rows[0][0] >= 2, "the endless query")
    watcher.close()
    assert server.stop() == 0
    thread.join()
    assert len(errors) == 1
    assert is_transient(errors[0])
    client.close()


def test_password_and_folder_belong_to_this_user_only(server: EmbeddedServer) -> None:
    password, folder = server.settings.password_file, server.settings.embedded_folder
    assert password is not None
    assert folder is not None
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = password.read_text().strip()
    assert len(secret) >= 32
    command_line = " ".join(psutil.Process(server.process.pid).cmdline())
    assert secret not in command_line + server.output()


def test_a_restart_keeps_the_password(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with server:
        first = (tmp_path / "password").read_text()
    with server:
        assert (tmp_path / "password").read_text() == first


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        serve(settings)
    assert "secret" not in str(caught.value)


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").touch(mode=0o600)
    with pytest.raises(ConfigurationError, match="empty"):
        serve(_settings(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedded_folder": None}, "embedded_folder is not set"),
        ({"password_file": None}, "password_file is not set"),
        ({"host": "db.example"}, "127.0.0.1"),
        ({"secure": True}, "TLS"),
        ({"embedded_folder": Path("/tmp/with?mark")}, "must not contain"),
        ({"embedded_folder": Path("/proc/nowhere")}, "cannot be written"),
        ({"password_file": Path("/proc/nowhere/password")}, "cannot be written"),
    ],
)
def test_settings_that_cannot_work(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        serve(_settings(tmp_path, **changes))


def test_a_second_owner_is_refused(server: EmbeddedServer) -> None:
    settings = server.settings.model_copy(update={"port": free_port()})
    with pytest.raises(PlatformInUseError) as caught:
        serve(settings)
    assert str(settings.embedded_folder) in str(caught.value)
    assert str(server.process.pid) in str(caught.value)
    client = server.connect()
    assert client.query("SELECT 1").result_rows == [(1,)]
    client.close()


def test_a_taken_port_is_refused(server: EmbeddedServer, tmp_path: Path) -> None:
    port = server.settings.port
    other = EmbeddedServer(_folder(tmp_path / "other"), port=port)
    other.launch()
    assert other.wait() == PlatformInUseError.exit_code
    assert f"port {port}" in other.output()
    assert "Traceback" not in other.output()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_without_chdb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chdb", None)
    with pytest.raises(MissingDependencyError, match=re.escape("ib-platform[embedded]")):
        serve(_settings(tmp_path))


def test_the_module_asks_for_a_settings_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ib_platform.warehouse.embedded"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_the_memory_limit_holds(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, embedded_memory_bytes=768 * 1024**2) as server:
        client = server.connect()
        with pytest.raises(DatabaseError) as caught:
            client.query("SELECT length(groupArray(number)) FROM numbers(1000000000)")
        assert caught.value.code == 241
        assert is_transient(caught.value)
        assert client.query("SELECT 1").result_rows == [(1,)]
        client.close()


def test_idle_memory_is_modest(server: EmbeddedServer) -> None:
    resident = psutil.Process(server.process.pid).memory_info().rss
    assert resident < 500 * 1024**2


def test_many_requests_leave_nothing_open(server: EmbeddedServer) -> None:
    client = server.connect()
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")

    def work() -> None:
        client.insert("t", [[1]], column_names=["a"])
        client.query("SELECT count() FROM t")
        with pytest.raises(ClickHouseError):
            client.raw_insert("t", insert_block=b"word\n", fmt="TSV")

    process = psutil.Process(server.process.pid)
    for _ in range(20):
        work()
    before = process.num_fds()
    for _ in range(50):
        work()
    # The merges of the engine open and close files meanwhile.
    wait_until(lambda: process.num_fds() <= before + 25, "files to be closed")
    client.close()


class _Writer(threading.Thread):
    """Inserts numbered batches with tokens, each until it is acknowledged."""

    BATCHES = 60
    ROWS = 500

    def __init__(self, settings: ClickHouse, number: int) -> None:
        super().__init__(name=f"writer {number}")
        self._settings = settings
        self._number = number
        self.acknowledged = 0

    def run(self) -> None:
        for batch in range(self.BATCHES):
            first = (self._number * self.BATCHES + batch) * self.ROWS
            rows = [[first + row, (first + row) % 2] for row in range(self.ROWS)]
            token = {"insert_deduplication_token": f"{self._number}-{batch}"}
            wait_until(lambda r=rows, t=token: self._insert(r, t), "an acknowledgement", 120)
            self.acknowledged += 1

    def _insert(self, rows: list[list[int]], settings: dict[str, str]) -> bool:
        try:
            client = connect(self._settings, database="default", role="writer")
            client.insert("t", rows, column_names=["a", "p"], settings=settings)
        except (WarehouseError, ClickHouseError) as error:
            if not is_transient(error):
                raise
            return False
        client.close()
        return True


def test_kill_during_inserts_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with server:
        client = server.connect()
        client.command(
            "CREATE TABLE t (a UInt64, p UInt8) ENGINE = MergeTree PARTITION BY p ORDER BY a "
            "SETTINGS non_replicated_deduplication_window = 10000"
        )
        client.close()
        writers = [_Writer(server.settings, number) for number in range(3)]
        for writer in writers:
            writer.start()
        for goal in (20, 60, 100):
            wait_until(
                lambda g=goal: sum(w.acknowledged for w in writers) >= g, f"{goal} batches", 120
            )
            server.kill()
            server.start()
        for writer in writers:
            writer.join(180)
        client = server.connect()
        expected = len(writers) * _Writer.BATCHES * _Writer.ROWS
        found = client.query("SELECT count(), uniqExact(a), max(a) FROM t").result_rows
        assert found == [(expected, expected, expected - 1)]
        client.close()


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with server:
        server.kill()
    with server:
        client = server.connect()
        assert client.query("SELECT 1").result_rows == [(1,)]
        client.close()


def test_files_are_not_open_to_others(server: EmbeddedServer) -> None:
    folder = server.settings.embedded_folder
    assert folder is not None
    assert folder.stat().st_uid == os.getuid()
    assert not folder.stat().st_mode & 0o077
