"""Building many dates at once: what goes on and what ends when one fails, or nobody listens."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from ib_platform.config import PlatformConfig
from ib_platform.errors import WarehouseError
from ib_platform.rebuild.app import Done, look, rebuild
from ib_platform.rebuild.plan import Step
from ib_platform.rebuild.show import followed, show, told
from ib_platform.warehouse.compact import BuildResult
from ib_platform_tests.rebuild.recorded import DATES
from ib_platform_tests.support import make_config

NOW = datetime(2025, 11, 17, 18, tzinfo=UTC)
MANY = [Step(date(2025, 11, day), "forced") for day in (3, 4, 5, 6, 7)]


def test_nothing_is_begun_once_clickhouse_does_not_answer(tmp_path: Path) -> None:
    nobody_listens = make_config(tmp_path)
    (nobody_listens.clickhouse.password_file or tmp_path).parent.mkdir(parents=True)
    (nobody_listens.clickhouse.password_file or tmp_path).write_text("secret")
    done = list(rebuild(nobody_listens, MANY, jobs=1))
    assert [one.step for one in done] == MANY[:1]
    assert all(isinstance(one.failed, WarehouseError) for one in done)


def test_who_stops_listening_stops_the_rest(recorded: Any, config: PlatformConfig) -> None:
    steps = [*(Step(day, "forced") for day in DATES), *MANY]
    with closing(rebuild(config, steps, jobs=1)) as building:
        first = next(building)
    assert first.built is not None
    assert first.built.trade_date == DATES[0]
    built = {row[0] for row in recorded.query("SELECT DISTINCT trade_date FROM builds").result_rows}
    # The one under way is built to its end, not cut off.
    assert {str(DATES[0])} <= {str(day) for day in built}
    assert len(built) <= 2


def test_a_look_names_every_date_and_changes_nothing(recorded: Any, config: PlatformConfig) -> None:
    steps = look(config, NOW, None, None)
    assert [(one.trade_date, one.because) for one in steps] == [
        (day, "never built") for day in DATES
    ]
    assert list(rebuild(config, [Step(DATES[0], None, "current")], jobs=2)) == []
    assert recorded.query("SELECT count() FROM builds").result_rows == [(0,)]


def test_what_is_said() -> None:
    step = Step(DATES[0], "record changed: frames +1 [x]")
    rows = {"depth": 1234, "spells": 1, "bars": 56}
    built = Done(step, BuildResult(DATES[0], "v", False, rows))
    failed = Done(step, None, WarehouseError("the disk is full"))
    assert told(built) == (
        "2025-11-12: built (record changed: frames +1 [x]): depth 1,234, bars 56 rows"
    )
    assert told(failed) == ("2025-11-12: failed (record changed: frames +1 [x]): the disk is full")
    said = StringIO()
    assert list(followed([built, failed], 2, Console(file=said, width=40))) == [built, failed]
    assert said.getvalue() == f"{told(built)}\n{told(failed)}\n", "a line each, however long"
    shown = StringIO()
    show([step, Step(DATES[1], None, "current")], Console(file=shown, width=100))
    assert "record changed: frames +1 [x]" in shown.getvalue()
    assert "1 trade dates would be built, 1 stay as they are" in shown.getvalue()
