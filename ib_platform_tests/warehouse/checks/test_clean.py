"""What is clean breaks no check, what is odd is counted, and what cannot be judged says why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.build import Build
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import CAPTURE_CONID, make_config
from ib_platform_tests.warehouse.checks.scenes import (
    ASK,
    BID,
    DAY,
    DURING,
    NOON,
    TOP,
    Fact,
    assign,
    broken,
    checks_of,
    healthy,
    levels,
    play,
)
from ib_platform_tests.warehouse.recording import (
    SECOND,
    Recorder,
    full,
    record_capture,
    rows_of,
    trade_date,
)

AFTER = datetime(2026, 11, 30, tzinfo=UTC)
BEGIN, END = (to_ns(instant) for instant in trade_date_span(DAY))
CL = "CL.NYMEX.front"
FACT = Fact(CL, "alpha", 1)


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connection = connect(warehouse)
    yield connection
    connection.close()


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path)


def whole_day(run_id: str, begin: int, end: int, *, every: int = 20) -> Recorder:
    """A run over a trade date, ladder and quotes, that asks for its quotes anew in time."""
    recorder = Recorder(run_id)
    recorder.event(begin - 60 * SECOND, StreamEventKind.RUN_STARTED, None, None, source="ibkr")
    for number, at in enumerate(range(begin - 20 * SECOND, end + 20 * SECOND, every * SECOND)):
        sizes = {f"r{row}": size for row, size in levels(number).items()}
        recorder.ladder(at, 1, full(**sizes) if number == 0 else rows_of(TOP, levels(number)))
        recorder.quote(at, 1, updated=at - SECOND // 10, bid=BID, ask=ASK, availability="RB")
    return recorder


def test_a_clean_closed_date_after_others(client: Any, config: PlatformConfig) -> None:
    assign(client, [FACT], BEGIN - 3600 * SECOND)
    for number in range(1, 8):
        earlier = Recorder(f"r{number}")
        for second in range(0, 120, 20):
            earlier.ladder(BEGIN - number * 86_400 * SECOND + second * SECOND, 1, full())
        earlier.insert(client)
    whole_day("r", BEGIN, END).insert(client)
    finalize(client, config, DAY, now=AFTER)
    rows = checks_of(client)[CL]
    assert broken(rows) == {}
    verdicts = {code: row["verdict"] for code, row in rows.items()}
    absent = [code for code, word in verdicts.items() if word == "not_applicable"]
    assert absent == ["Q05", "Q14", "Q28"]
    assert [code for code, word in verdicts.items() if word == "unknown"] == ["Q07"]
    assert rows["Q01"]["value"] == 1
    assert rows["Q26"]["value"] == pytest.approx(1)
    assert rows["Q26"]["figures"]["dates"] == 5
    assert rows["Q29"]["value"] == 1
    assert rows["Q30"]["value"] == 30
    assert not rows["Q01"]["preliminary"]


@pytest.mark.parametrize(("frames", "expected"), [(3, "pass"), (16, "warn"), (1, "warn")])
def test_more_or_fewer_frames_than_usual(
    client: Any, config: PlatformConfig, frames: int, expected: str
) -> None:
    # Five weekdays before a Wednesday.
    for days in (0, 1, 2, 5, 6, 7):
        recorder = Recorder(f"r{days}")
        for count in range(6 if days else frames):
            recorder.ladder(NOON - days * 86_400 * SECOND + count * SECOND, 1, full())
        recorder.insert(client)
    assign(client, [FACT])
    finalize(client, config, DAY, now=AFTER)
    row = checks_of(client)[CL]["Q26"]
    assert (row["verdict"], row["value"]) == (expected, frames / 6)


def test_bars_that_count_other_states_than_were_recorded(
    client: Any, config: PlatformConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_query = Build.insert_query

    def without_one_bar(build: Build, target: str, sql: str, **extra: Any) -> None:
        insert_query(build, target, sql, **extra)
        if target == "bars":
            build.client.command(
                f"ALTER TABLE {build.stages['bars']} DELETE WHERE bar_size = '1m' "
                "AND bar_start = '2026-11-18 18:01:00' SETTINGS mutations_sync = 1"
            )

    play("r", {1: healthy}, paper_user="alpha").insert(client)
    assign(client, [FACT])
    monkeypatch.setattr(Build, "insert_query", without_one_bar)
    build_open_date(client, config, DAY, now=DURING)
    rows = checks_of(client)[CL]
    assert broken(rows) == {"Q31": "fail"}
    assert (rows["Q31"]["figures"]["wrong"], rows["Q31"]["figures"]["sizes"]) == (0, 1)


def odd(recorder: Recorder, second: int, conid: int) -> None:
    """Each oddity once: a spike with a wide spread, a size, a side that stands still."""
    at = NOON + second * SECOND
    if second == 0:
        recorder.ladder(at, conid, full(r4=-3, r9=-3, r10=-2, r11=5, r12=5, r20=1))
    elif second == 60:
        # The asks vanish but for one far away: the mid jumps and comes back.
        recorder.ladder(at, conid, rows_of(TOP, {9: 0, 10: 0, 4: 0, 3: -2}))
    elif second == 61:
        recorder.ladder(at, conid, rows_of(TOP, {3: 0, 4: -3, 9: -3, 10: -2, 11: 5}))
    elif second == 80:
        recorder.ladder(at, conid, rows_of(TOP, {11: 5000}))
    elif second < 100:
        recorder.ladder(at, conid, rows_of(TOP, {11: 5 + second % 2, 10: -2 - second % 2}))
    elif second < 160:
        # Deeper asks move for a minute, the touch and every bid stand still.
        recorder.ladder(at, conid, rows_of(TOP, {4: -3 - second % 2}))
    else:
        recorder.ladder(at, conid, rows_of(TOP, {11: 5 + second % 2, 10: -2 - second % 2}))


def test_oddities_are_counted_without_a_verdict(client: Any, config: PlatformConfig) -> None:
    play("r", {1: odd}, paper_user="alpha").insert(client)
    assign(client, [FACT])
    strict = {"wide_spread": 5, "jump_ticks": 3, "size_outlier": 100}
    config = config.model_copy(update={"quality": config.quality.model_copy(update=strict)})
    build_open_date(client, config, DAY, now=DURING)
    rows = checks_of(client)[CL]
    found = {code: rows[code]["value"] for code in ("Q19", "Q20", "Q21", "Q23", "Q24")}
    assert found == {"Q19": 1, "Q20": 1, "Q21": 1, "Q23": 1, "Q24": 1}
    assert rows["Q22"]["value"] == 0, "one long spell is its own p99.9"
    assert rows["Q22"]["figures"]["longest_seconds"] > 60
    assert {rows[f"Q{number}"]["verdict"] for number in range(19, 25)} == {"report"}
    assert broken(rows) == {}


@pytest.mark.parametrize("source", ["simulated", "replayed"])
def test_clocks_of_a_simulator_are_not_judged(
    client: Any, config: PlatformConfig, source: str
) -> None:
    """Its quotes come from the future, and its wall clock was set back."""
    recorder = Recorder("r")
    recorder.event(NOON - SECOND, StreamEventKind.RUN_STARTED, None, None, source=source)
    for second in range(60):
        healthy(recorder, second, 1)
        at = NOON + second * SECOND
        recorder.quote(at, 1, updated=at + 9 * SECOND, bid=BID, ask=ASK, availability="RB")
    recorder.set_by = -20 * SECOND
    for second in range(60, 70):
        recorder.ladder(NOON + (second - 20) * SECOND, 1, rows_of(TOP, levels(second)))
    recorder.insert(client)
    assign(client, [FACT])
    build_open_date(client, config, DAY, now=DURING)
    rows = checks_of(client)[CL]
    assert {row["source"] for row in rows.values()} == {source}
    for code in ("Q11", "Q12"):
        assert (rows[code]["verdict"], rows[code]["value"]) == ("not_applicable", None)
        assert source in rows[code]["explanation"]
    assert rows["Q10"]["verdict"] == "pass"
    assert "the wall clock is not judged" in rows["Q10"]["explanation"]


def test_a_wall_clock_that_is_set_back_warns(client: Any, config: PlatformConfig) -> None:
    recorder = play("r", {1: healthy}, paper_user="alpha", seconds=60)
    recorder.set_by = -20 * SECOND
    for second in range(60, 70):
        recorder.ladder(NOON + (second - 20) * SECOND, 1, rows_of(TOP, levels(second)))
    recorder.insert(client)
    assign(client, [FACT])
    build_open_date(client, config, DAY, now=DURING)
    row = checks_of(client)[CL]["Q10"]
    assert (row["verdict"], row["figures"]) == ("warn", {"monotonic": 0, "wall": 1})


def test_a_source_said_long_before_the_date(client: Any, config: PlatformConfig) -> None:
    """A run may live for weeks: its first event is older than what a build looks back at."""
    play("r", {1: healthy}, paper_user="alpha", seconds=10, source=None).insert(client)
    client.command("TRUNCATE TABLE stream_events")
    client.insert(
        "stream_events",
        [(date(2026, 10, 1), NOON - 48 * 86_400 * SECOND, "alpha", "r", 0, "run_started", 0,
          '{"source": "replayed"}')],
        column_names=["trade_date", "at", "paper_user", "run_id", "event_no", "kind", "after_seq",
                      "detail"],
    )  # fmt: skip
    assign(client, [FACT])
    build_open_date(client, config, DAY, now=DURING)
    assert checks_of(client)[CL]["Q11"]["source"] == "replayed"


def test_nothing_recorded_is_said_by_every_check(client: Any, config: PlatformConfig) -> None:
    assign(client, [FACT])
    finalize(client, config, DAY, now=AFTER)
    rows = checks_of(client)[CL]
    assert len(rows) == 33
    assert broken(rows) == {"Q01": "fail", "Q32": "fail"}
    for number in range(13, 25):
        row = rows[f"Q{number}"]
        assert (row["verdict"], row["value"]) == ("unknown", None), row
        assert row["explanation"] == "no ladder frame was recorded"


def test_a_holiday_expects_nothing(client: Any, config: PlatformConfig) -> None:
    christmas = date(2026, 12, 25)
    begin = to_ns(trade_date_span(christmas)[0])
    client.insert(
        "assignments",
        [(1, 1, begin // 10**6 - 10**6, begin // 10**6 - 10**6, [CL], ["alpha"],
          ["cme_energy_metals"])],
    )  # fmt: skip
    finalize(client, config, christmas, now=datetime(2027, 1, 4, tzinfo=UTC))
    rows = checks_of(client, christmas)[CL]
    assert broken(rows) == {}
    assert {rows[code]["verdict"] for code in ("Q01", "Q02", "Q03", "Q04")} == {"not_applicable"}
    assert rows["Q32"]["verdict"] == "pass"


def test_the_recorded_capture_has_no_fault_but_its_holes(
    client: Any, config: PlatformConfig
) -> None:
    """149 of 173 keyframes repeat the touch, says ``ibkr_ladder_observed.md`` 12. Compared are 172
    here: those with a two-sided state no older than the limit of a silence before them."""
    recorder = record_capture()
    recorder.insert(client)
    first = recorder.states[0].at
    assign(client, [Fact(CL, "alpha", CAPTURE_CONID, last_trade_date=None)], first - 60 * SECOND)
    finalize(client, config, trade_date(first), now=AFTER)
    rows = checks_of(client, trade_date(first))[CL]
    assert set(broken(rows)) == {"Q01", "Q02", "Q03", "Q32"}, "it is pieces of one morning"
    figures = rows["Q07"]["figures"]
    assert (figures["agreeing_keyframes"], figures["keyframes"]) == (149, 172)
    assert figures["clean"] == 1
    oddities = {f"Q{number}": rows[f"Q{number}"]["value"] for number in range(19, 25)}
    assert oddities == dict.fromkeys(oddities, 0)
