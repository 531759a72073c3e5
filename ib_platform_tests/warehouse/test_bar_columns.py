"""Bars that are stored already, when a migration adds columns and sizes."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, date, datetime
from importlib.resources import as_file, files
from pathlib import Path

from ib_platform.config import ClickHouse
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import Recorder, full

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
OLD_BAR = """
INSERT INTO bars (trade_date, conid, bar_size, bar_start, bar_end, frames, bid_close)
VALUES ('2026-11-18', 1, '1d', '2026-11-17 22:30:00', '2026-11-18 22:30:00', 7, 59.89)
"""


def test_old_bars_stay_readable_and_are_replaced(warehouse: ClickHouse, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    with as_file(files("ib_platform.warehouse") / "migrations") as folder:
        for number in range(1, 5):
            (file,) = folder.glob(f"{number:04}_*.sql")
            shutil.copy(file, old)
    with closing(connect(warehouse, database="default")) as client:
        client.command("DROP DATABASE {name:Identifier} SYNC", {"name": warehouse.database})
    migrate(warehouse, old)
    with closing(connect(warehouse)) as client:
        client.command(OLD_BAR)
        assert "0005_bar_columns.sql" in migrate(warehouse)
        before = client.query("SELECT bar_size, frames, bar_size = '5s' FROM bars").result_rows
        assert before == [("1d", 7, 0)]
        recorder = Recorder("r")
        recorder.ladder(NOON, 1, full())
        recorder.insert(client)
        finalize(client, make_config(tmp_path), DAY, now=AFTER)
        sizes = "SELECT bar_size FROM bars ORDER BY bar_size"
        after = [row[0] for row in client.query(sizes).result_rows]
    assert after == ["1s", "1m", "5m", "1h", "1d", "5s", "15m"]
