"""For each check a record that breaks it and nothing else, through a real build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.checks.catalogue import CHECKS
from ib_platform.warehouse.compact import build_open_date
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.checks.scenes import (
    ASK,
    BID,
    DAY,
    DURING,
    NOON,
    SECONDS,
    TENTH,
    TOP,
    Fact,
    Step,
    assign,
    broken,
    checks_of,
    healthy,
    levels,
    play,
)
from ib_platform_tests.warehouse.recording import SECOND, Event, Recorder, full, rows_of

HALF = SECONDS // 2
FAIL, WARN = "fail", "warn"


def once(rows: dict[int, int], second: int = HALF, conid_step: Step = healthy) -> Step:
    """A healthy ladder that shows ``rows`` in one second, and what it showed before in the next."""

    def step(recorder: Recorder, now: int, conid: int) -> None:
        if now == second:
            recorder.ladder(NOON + now * SECOND, conid, rows_of(TOP, rows))
        else:
            conid_step(recorder, now, conid)

    return step


def broken_text(recorder: Recorder, second: int, conid: int) -> None:
    if second == HALF:
        recorder.broken(NOON + second * SECOND, conid)
    elif second == HALF + 1:
        sizes = {f"r{row}": size for row, size in levels(second).items()}
        recorder.ladder(NOON + second * SECOND, conid, full(**sizes))
    else:
        healthy(recorder, second, conid)


def around_zero(recorder: Recorder, second: int, conid: int) -> None:
    at, top = NOON + second * SECOND, 50_000_000
    sizes = {f"r{row}": size for row, size in levels(second).items()}
    recorder.ladder(at, conid, full(top, **sizes) if not second else rows_of(top, levels(second)))


def shallow(recorder: Recorder, second: int, conid: int) -> None:
    at = NOON + second * SECOND
    recorder.ladder(at, conid, full() if not second else rows_of(TOP, {11: 5 + second % 3}))


def silent(recorder: Recorder, second: int, conid: int) -> None:
    if not HALF <= second < HALF + 60:
        healthy(recorder, second, conid)


def quoting(
    *, delay: int = TENTH, bid: int = BID, known: bool = True, availability: str = "RB"
) -> Step:
    def step(recorder: Recorder, second: int, conid: int) -> None:
        healthy(recorder, second, conid)
        at = NOON + second * SECOND
        recorder.quote(
            at, conid, updated=at - delay if known else None, bid=bid, ask=ASK,
            availability=availability,
        )  # fmt: skip

    return step


def asking(recorder: Recorder, second: int, conid: int) -> None:
    if second == 0:
        detail = {"topic": "smd", "why": "renewal", "conid": conid}
        kind = StreamEventKind.SUBSCRIBE_REQUESTED.value
        # It begins no epoch: the contract is in the detail alone.
        recorder.events.append(Event(recorder.run_id, NOON, kind, None, None, recorder.seq, detail))
    healthy(recorder, second, conid)


BOOKS: dict[str, tuple[int, Step, dict[str, str]]] = {
    "CLEAN.NYMEX.front": (1, healthy, {}),
    "CROSSED.NYMEX.front": (2, once({8: 5}), {"Q13": FAIL, "Q32": WARN, "Q33": WARN}),
    "ONESIDED.NYMEX.front": (3, once({11: 0, 12: 0}), {"Q15": WARN}),
    "BROKEN.NYMEX.front": (4, broken_text, {"Q16": FAIL, "Q32": WARN, "Q33": WARN}),
    "NEGATIVE.CME.front": (5, around_zero, {"Q16": FAIL}),
    "CRUDE.NYMEX.front": (6, around_zero, {}),
    "TICK.NYMEX.front": (7, healthy, {"Q17": WARN}),
    "SHALLOW.NYMEX.front": (8, shallow, {"Q18": WARN}),
    "NULLS.NYMEX.front": (9, quoting(known=False), {"Q25": FAIL}),
    "QUOTE.NYMEX.front": (10, quoting(bid=BID - 10_000_000), {"Q29": WARN}),
    "SKEW.NYMEX.front": (11, quoting(delay=-TENTH), {"Q11": FAIL}),
    "LATE.NYMEX.front": (12, quoting(delay=3 * SECOND), {"Q11": FAIL}),
    "GOODQUOTE.NYMEX.front": (13, quoting(), {}),
    "DELAYED.NYMEX.front": (14, quoting(bid=BID - 10_000_000, availability="DB"), {}),
    "EXPIRED.NYMEX.front": (15, healthy, {"Q30": FAIL}),
    "ROLL.NYMEX.front": (16, healthy, {"Q30": WARN}),
    "SILENT.NYMEX.front": (
        17, silent, {"Q01": FAIL, "Q02": FAIL, "Q04": FAIL, "Q32": WARN},
    ),
    "RENEWAL.NYMEX.front": (18, asking, {"Q05": FAIL}),
    "RENEWED.NYMEX.front": (19, asking, {}),
}  # fmt: skip
"""Contracts of one pod: conid, what its ladder does, what warns or fails."""


def unsound(recorder: Recorder) -> None:
    """A frame whose stamp of the monotonic clock lies before that of the frame before it."""
    row = recorder.frames[HALF]
    recorder.frames[HALF] = (*row[:2], row[1] - SECOND - TENTH, *row[3:])
    row = recorder.frames[HALF + 1]
    recorder.frames[HALF + 1] = (*row[:2], row[1] - SECOND, *row[3:])


def pods() -> dict[str, tuple[Recorder, dict[str, str]]]:
    """Pods with one contract each, and what warns or fails of it."""
    number = iter(range(100, 200))

    def pod(name: str, **options: Any) -> Recorder:
        return play(f"run-{name}", {next(number): healthy}, paper_user=name, **options)

    holes = pod("holes", each=lambda r, s: r.other(NOON + s * SECOND))
    del holes.frames[100]
    tail = pod("tail")
    tail.other(NOON + (SECONDS - 1) * SECOND)
    tail.event(NOON + (SECONDS - 1) * SECOND, StreamEventKind.RUN_STOPPED)
    del tail.frames[-1]
    unordered = pod("unordered")
    unsound(unordered)
    drift = pod("drift", each=lambda r, s: r.other(NOON + s * SECOND, "xyz") if s == 9 else None)
    shape = pod(
        "shape",
        each=lambda r, s: r.other(NOON, "undecodable", "no_topic") if not s else None,
    )
    keys = pod("keys")
    keys.quote(
        NOON + (SECONDS - 1) * SECOND, 105, updated=NOON + (SECONDS - 1) * SECOND,
        payload=b'{"topic":"smd+105","31":"60.1","surprise":[1]}',
    )  # fmt: skip
    late = pod("late")
    late.event(
        NOON + 20 * SECOND, StreamEventKind.LATE_STAMPS, "late_stamps",
        begin="2026-11-18T18:00:10+00:00", end="2026-11-18T18:00:20+00:00",
    )  # fmt: skip
    gone = pod("gone", seconds=HALF)
    return {
        "HOLES.NYMEX.front": (holes, {"Q06": FAIL, "Q08": FAIL, "Q32": WARN}),
        "TAIL.NYMEX.front": (tail, {"Q08": FAIL, "Q32": WARN}),
        "UNORDERED.NYMEX.front": (unordered, {"Q10": FAIL}),
        "DRIFT.NYMEX.front": (drift, {"Q27": WARN}),
        "SHAPE.NYMEX.front": (shape, {"Q27": WARN}),
        "KEYS.NYMEX.front": (keys, {"Q27": WARN}),
        "LATESTAMPS.NYMEX.front": (late, {"Q33": WARN}),
        "GONE.NYMEX.front": (gone, {"Q01": FAIL, "Q02": FAIL, "Q03": WARN, "Q32": WARN}),
        "TWICE.NYMEX.front": (pod("twice"), {"Q09": WARN}),
    }


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PlatformConfig:
    """ROLL's front month should have moved on 40 days before its end; RENEWAL's quotes may go on
    for 100 seconds."""
    products: list[dict[str, Any]] = [
        {"symbol": "ROLL", "roll": {"days_before_last_trade": 40}},
        {"symbol": "RENEWAL", "quality": {"quote_renewal_fail": 100}},
    ]
    contracts = [
        {**one, "exchange": "NYMEX", "calendar": "always_open", "paper_user": "alpha"}
        for one in products
    ]
    return make_config(tmp_path_factory.mktemp("scenes"), contracts=contracts)


@pytest.fixture(scope="module")
def scenes(
    clickhouse_server: ClickHouse, config: PlatformConfig
) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
    """The checks of all scenes, from one build of the open date."""
    settings = clickhouse_server.model_copy(update={"database": "test_scenes"})
    migrate(settings)
    own = pods()
    with closing(connect(settings)) as client:
        play_all(client, own)
        build_open_date(client, config, DAY, now=DURING)
        yield checks_of(client)
        client.command("DROP DATABASE {name:Identifier} SYNC", {"name": settings.database})


def play_all(client: Any, own: dict[str, tuple[Recorder, dict[str, str]]]) -> None:
    ticks = {"TICK.NYMEX.front": "0.25"}
    last_days = {"EXPIRED.NYMEX.front": date(2026, 11, 17)}
    facts = [
        Fact(name, "alpha", conid, ticks.get(name, "0.01"), last_days.get(name, date(2026, 12, 18)))
        for name, (conid, _, _) in BOOKS.items()
    ]
    for name, (recorder, _) in own.items():
        facts.append(Fact(name, recorder.paper_user, recorder.ladders[0][2]))
    facts.append(Fact("OVERLAP.NYMEX.front", "one", 300))
    assign(client, facts)
    # Repeated rows are counted as long as no merge has collapsed them.
    client.command("SYSTEM STOP MERGES frames")
    play("run-alpha", {c: step for c, step, _ in BOOKS.values()}, paper_user="alpha").insert(client)
    for recorder, _ in own.values():
        recorder.insert(client)
    client.insert("frames", own["TWICE.NYMEX.front"][0].frames[:1])
    for number, name in enumerate(("one", "two")):
        shifted = healthy if not number else shifted_touch
        play(f"run-{name}", {300: shifted}, paper_user=name).insert(client)


def shifted_touch(recorder: Recorder, second: int, conid: int) -> None:
    """A healthy ladder one price lower."""
    at, top = NOON + second * SECOND, TOP - 10_000_000
    sizes = {f"r{row}": size for row, size in levels(second).items()}
    recorder.ladder(at, conid, full(top, **sizes) if not second else rows_of(top, levels(second)))


EXPECTED = {
    **{name: wrong for name, (_, _, wrong) in BOOKS.items()},
    **{name: wrong for name, (_, wrong) in pods().items()},
    "OVERLAP.NYMEX.front": {"Q28": WARN},
}


@pytest.mark.parametrize("contract", sorted(EXPECTED))
def test_exactly_what_is_wrong_is_said(
    scenes: dict[str, dict[str, dict[str, Any]]], contract: str
) -> None:
    rows = scenes[contract]
    told = {code: row["explanation"] for code, row in rows.items() if code in broken(rows)}
    assert broken(rows) == EXPECTED[contract], told


def test_every_contract_has_every_check(scenes: dict[str, dict[str, dict[str, Any]]]) -> None:
    assert set(scenes) == set(EXPECTED)
    for rows in scenes.values():
        assert sorted(rows) == [check.code for check in CHECKS]
        for row in rows.values():
            assert row["explanation"]
            assert row["source"] == "ibkr"
            assert row["preliminary"]
            unmeasured = row["verdict"] in ("unknown", "not_applicable")
            assert (row["value"] is None) == (unmeasured or row["code"] == "Q32"), row
