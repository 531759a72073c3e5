"""Days of a calendar that the user's configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ib_platform.config import dump_config, load_config
from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.calendar import is_open, open_spans
from ib_platform.marketdata.phases import MarketPhase, phase_of
from ib_platform.marketdata.sessions import CalendarName, hours_of, parse_hours, use_own_days
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.sql import inputs_version
from ib_platform_tests.support import make_config

EQUITY = CalendarName.CME_EQUITY
CARTER = date(2025, 1, 9)
DAYS = """\
calendar_days:
  - calendar: cme_equity
    day: 2025-01-09
    hours: 17:00-08:30
    reason: national day of mourning
    source: CME Group, 2024-12-31
  - {calendar: cme_equity, day: 2025-01-10, hours: "", source: a test}
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    use_own_days({})


def written(folder: Path, days: str) -> Path:
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(make_config(folder)).replace("calendar_days: []\n", "") + days)
    return file


def test_own_days_win_until_another_configuration_is_loaded(tmp_path: Path) -> None:
    ordinary = hours_of(EQUITY, CARTER)
    load_config(written(tmp_path, DAYS))
    assert hours_of(EQUITY, CARTER) == parse_hours("17:00-08:30") != ordinary
    assert open_spans(EQUITY, date(2025, 1, 10)) == []
    assert not is_open(EQUITY, datetime(2025, 1, 9, 18, tzinfo=UTC))
    assert phase_of(EQUITY, datetime(2025, 1, 9, 18, tzinfo=UTC)) is MarketPhase.EARLY_CLOSE
    assert phase_of(EQUITY, datetime(2025, 1, 10, 18, tzinfo=UTC)) is MarketPhase.HOLIDAY
    assert hours_of(CalendarName.CME_FX, CARTER) == ordinary, "of one calendar only"
    load_config(written(tmp_path, ""))
    assert hours_of(EQUITY, CARTER) == ordinary


def test_they_win_over_a_day_of_the_files(tmp_path: Path) -> None:
    day = "  - {calendar: cme_equity, day: 2026-12-25, hours: 17:00-12:00, source: a test}\n"
    load_config(written(tmp_path, "calendar_days:\n" + day))
    assert hours_of(EQUITY, date(2026, 12, 25)) == parse_hours("17:00-12:00")


def test_rows_tell_by_which_days_they_were_built(tmp_path: Path) -> None:
    without = inputs_version(Thresholds())
    load_config(written(tmp_path, DAYS))
    with_days = inputs_version(Thresholds())
    load_config(written(tmp_path, DAYS.replace("08:30", "08:31")))
    assert len({without, with_days, inputs_version(Thresholds())}) == 3
    load_config(written(tmp_path, ""))
    assert inputs_version(Thresholds()) == without


def test_a_configuration_with_own_days_is_written_and_read_back(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, DAYS))
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(config))
    assert load_config(again) == config


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("2025-01-09", "2025-01-11", r"calendar_days\.0\.day.*Saturday"),
        ("17:00-08:30", "nine", r"calendar_days\.0\.hours.*not like 17:00-16:00"),
        ("cme_equity", "cme_eqity", r"calendar_days\.0\.calendar.*cme_equity"),
        ("cme_equity", "always_open", r"calendar_days\.0\.calendar.*no hours that could differ"),
        ("    source: CME Group, 2024-12-31\n", "", r"calendar_days\.0\.source"),
        ("2025-01-10", "2025-01-09", "day 2025-01-09 of cme_equity appears more than once"),
    ],
)
def test_a_day_that_cannot_be_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_config(written(tmp_path, DAYS.replace(old, new, 1)))
    assert hours_of(EQUITY, CARTER) == parse_hours("17:00-16:00"), "a refused file changes nothing"
