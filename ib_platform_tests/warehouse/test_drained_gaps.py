"""A run that died, a drain, then a compaction: the drain makes no gap, no cause, no run of its own
in the report, and says what the dead run could not say, however late it comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind
from ib_platform.streamer.drain import drain
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.due import dates_needing_revision
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads, make_config
from ib_platform_tests.warehouse.recording import SECOND, assign

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
BORDER = to_ns(trade_date_span(DAY)[1])
LATE = datetime(2026, 12, 20, tzinfo=UTC)
CL = "CL.NYMEX.front"
FRAMES = 121


class At:
    """Clocks that stand still."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.ns, lambda: self.ns)


@pytest.fixture
def config(warehouse: ClickHouse, tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state", clickhouse=warehouse.model_dump())


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connected = connect(warehouse, role="tests")
    yield connected
    connected.close()


def die_at_noon(folder: Path, loaded_into: PlatformConfig | None = None) -> str:
    """A streamer whose ladder begins at NOON, a frame every half second, until it is killed; all of
    it is loaded by then if ``loaded_into`` says where."""
    spool = Spool.open(
        folder, "alpha", "alpha-20261118T180000000Z-dead", segment_bytes=1 << 20,
        clocks=At(NOON - SECOND).clocks(),
    )  # fmt: skip
    spool.append_event(StreamEventKind.RUN_STARTED)
    spool.append_event(
        StreamEventKind.SUBSCRIBE_REQUESTED, contract=CL, conid=CAPTURE_CONID, connection=1
    )
    for number, payload in enumerate(capture_ladder_payloads()[:FRAMES]):
        at = NOON + number * SECOND // 2
        spool.append_frame(at, at, 1, payload)
    if loaded_into is not None:
        assert Loader(spool, loaded_into.clickhouse, loaded_into.limits).drain()
    spool.close()
    return spool.run_id


def gaps(client: Any) -> list[tuple[float, float, str]]:
    """Seconds after NOON of begin and end, and the cause, of CL's gaps on DAY."""
    rows = client.query(
        "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause FROM gaps "
        "WHERE trade_date = {day:Date} AND contract = {key:String} ORDER BY begin",
        parameters={"day": DAY, "key": CL},
    ).result_rows
    return [((begin - NOON) / SECOND, (end - NOON) / SECOND, cause) for begin, end, cause in rows]


@pytest.mark.parametrize("delay", [timedelta(minutes=5), timedelta(days=1), timedelta(days=12)])
def test_the_gap_after_the_death_is_explained(
    client: Any, config: PlatformConfig, tmp_path: Path, delay: timedelta
) -> None:
    folder = tmp_path / "spool"
    assign(client, [(CL, "alpha", CAPTURE_CONID)], NOON - 5 * SECOND)
    dead = die_at_noon(folder)
    drained = drain(
        config,
        "alpha",
        folder,
        120,
        At(NOON + 60 * SECOND + int(delay.total_seconds()) * SECOND).clocks(),
    )
    assert drained is not None
    assert drained.loaded == {dead: FRAMES}
    finalize(client, config, DAY, now=LATE)
    until = (BORDER - NOON) / SECOND
    assert gaps(client) == [((FRAMES - 1) / 2, until, "streamer_died")]
    ((received, stored),) = client.query(
        "SELECT frames_received, frames_stored FROM quality_report "
        "WHERE trade_date = {day:Date} AND contract = {key:String}",
        parameters={"day": DAY, "key": CL},
    ).result_rows
    assert (received, stored) == (FRAMES, FRAMES)
    assert client.query("SELECT uniqExact(run_id) FROM spells").result_rows == [(1,)]
    assert client.query("SELECT count() FROM suspect_windows").result_rows == [(0,)]


def test_a_date_on_which_only_a_drain_ran_knows_no_run(
    client: Any, config: PlatformConfig, tmp_path: Path
) -> None:
    """The day after the death: the drain of that day covers nothing and causes nothing."""
    folder = tmp_path / "spool"
    assign(client, [(CL, "alpha", CAPTURE_CONID)], NOON - 5 * SECOND)
    die_at_noon(folder)
    following = DAY + timedelta(days=1)
    assert drain(config, "alpha", folder, 120, At(NOON + 86_400 * SECOND).clocks()) is not None
    finalize(client, config, following, now=LATE)
    found = client.query(
        "SELECT cause, toUnixTimestamp64Nano(end) - toUnixTimestamp64Nano(begin) FROM gaps "
        "WHERE trade_date = {day:Date} AND contract = {key:String}",
        parameters={"day": following, "key": CL},
    ).result_rows
    assert {cause for cause, _ in found} == {"streamer_died"}
    assert sum(length for _, length in found) == 86_400 * SECOND


def test_a_streamer_that_starts_after_the_drain_ends_the_gap(
    client: Any, config: PlatformConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    assign(client, [(CL, "alpha", CAPTURE_CONID)], NOON - 5 * SECOND)
    die_at_noon(folder)
    assert drain(config, "alpha", folder, 120, At(NOON + 90 * SECOND).clocks()) is not None
    back = NOON + 120 * SECOND
    spool = Spool.open(
        folder, "alpha", "alpha-20261118T180200000Z-back", segment_bytes=1 << 20,
        clocks=At(back).clocks(),
    )  # fmt: skip
    spool.append_event(StreamEventKind.RUN_STARTED)
    for number, payload in enumerate(capture_ladder_payloads()[:FRAMES]):
        spool.append_frame(back + number * SECOND, number, 1, payload)
    spool.close()
    assert drain(config, "alpha", folder, 120, At(NOON + 400 * SECOND).clocks()) is not None
    finalize(client, config, DAY, now=LATE)
    first, second = gaps(client)
    assert first == (60, 120, "streamer_died")
    assert second[0] == 240
    assert second[2] == "streamer_died"


@pytest.mark.parametrize("days", [2, pytest.param(40, marks=pytest.mark.long)])
def test_what_is_told_late_makes_the_dates_due(
    client: Any, config: PlatformConfig, tmp_path: Path, days: int
) -> None:
    """All frames were stored in time, so that nothing else of these dates changes."""
    folder = tmp_path / "spool"
    assign(client, [(CL, "alpha", CAPTURE_CONID)], NOON - 5 * SECOND)
    dead = die_at_noon(folder, loaded_into=config)
    told = DAY + timedelta(days=days)
    build_what_is_due(client, config, until=told)
    following = DAY + timedelta(days=1)
    assert causes(client) == {DAY: {"unknown"}, following: {"unknown"}}
    at = NOON + days * 86_400 * SECOND
    drained = drain(config, "alpha", folder, 120, At(at).clocks())
    assert drained is not None
    assert drained.loaded == {dead: 0}
    build_what_is_due(client, config, until=told)
    assert causes(client) == {DAY: {"streamer_died"}, following: {"streamer_died"}}


def build_what_is_due(client: Any, config: PlatformConfig, until: date) -> None:
    """On the morning of a date, which is still open then; afterwards nothing is due."""
    morning = datetime(until.year, until.month, until.day, 12, tzinfo=UTC)
    for day in dates_needing_revision(client, morning):
        finalize(client, config, day, now=morning)
    assert dates_needing_revision(client, morning) == []


def causes(client: Any) -> dict[date, set[str]]:
    """Of CL's gaps on DAY and on the date after it."""
    rows = client.query(
        "SELECT toString(trade_date), groupUniqArray(toString(cause)) FROM gaps "
        "WHERE contract = {key:String} AND trade_date <= {last:Date} GROUP BY trade_date",
        parameters={"key": CL, "last": DAY + timedelta(days=1)},
    ).result_rows
    return {date.fromisoformat(day): set(found) for day, found in rows}
