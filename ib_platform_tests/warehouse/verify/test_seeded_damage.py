"""Every kind of damage to the warehouse is found and named; a clean record passes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.segments import list_segments
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import SECOND, Span
from ib_platform.warehouse.verify.evidence import SpooledRun
from ib_platform.warehouse.verify.judge import judge_run
from ib_platform.warehouse.verify.read import Reader
from ib_platform_tests.streamer.spools import BASE_NS, died_run, open_spool
from ib_platform_tests.verify.recorded import (
    DAY,
    again,
    begin_run,
    change,
    delete,
    load,
    lose,
    payloads,
    recorded,
    stop,
    told,
    verify,
)


def test_a_clean_run(tmp_path: Path, warehouse: ClickHouse) -> None:
    run_id = recorded(tmp_path, warehouse)
    found = verify(warehouse)
    assert found.findings == []
    (run,) = found.runs
    assert (run.run_id, run.end) == (run_id, "stopped")
    balance = run.balance
    assert balance.received == balance.spooled == balance.stored == 20
    assert balance.payload_bytes == sum(map(len, payloads(20)))
    assert (balance.unexplained, balance.repeated) == (0, 0)


def test_nothing_at_all(warehouse: ClickHouse) -> None:
    found = verify(warehouse)
    assert (found.runs, found.findings, found.total.received) == ((), [], 0)


@pytest.mark.parametrize(
    ("where", "frames", "words"),
    [
        ("seq = 5", 1, "seq 5"),
        ("seq BETWEEN 5 AND 8", 4, "seq 5 to 8"),
        ("seq = 0", 1, "seq 0"),
        ("seq >= 18", 2, "seq 18 to 19"),
        ("seq IN (0, 3, 19)", 3, "seq 0, 3, 19"),
        ("1", 20, "seq 0 to 19"),
    ],
)
def test_deleted_rows(
    tmp_path: Path, warehouse: ClickHouse, where: str, frames: int, words: str
) -> None:
    recorded(tmp_path, warehouse)
    change(warehouse, delete(where))
    found = verify(warehouse)
    (finding,) = found.findings
    assert told([finding]) == [("missing", "unexplained", frames)]
    assert finding.text == f"not stored: {words}"
    assert finding.remedy is not None
    total = found.total
    assert (total.received, total.spooled, total.unexplained) == (20, 20, frames)


def test_doubled_rows_are_a_line_and_no_failure(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    # The second insert carries both rows of seq 4, of which the engine writes one.
    change(warehouse, again("seq IN (3, 4)"), again("seq = 4"))
    found = verify(warehouse)
    assert told(found.findings) == [("repeated", "harmless", 3)]
    assert found.unexplained == []
    assert (found.total.stored, found.total.repeated) == (20, 3)
    assert found.total.payload_bytes == sum(map(len, payloads(20)))


@pytest.mark.parametrize(
    "other",
    [
        "'other' AS payload",
        "monotonic_ns + 1 AS monotonic_ns",
        "connection + 1 AS connection",
        "addDays(trade_date, 1) AS trade_date, received_at + INTERVAL 1 DAY AS received_at",
    ],
)
def test_two_frames_under_one_number(tmp_path: Path, warehouse: ClickHouse, other: str) -> None:
    recorded(tmp_path, warehouse)
    change(warehouse, again("seq = 3", f"* REPLACE ({other})"), again("seq = 9"))
    for span in (DAY, Span(DAY.begin, DAY.end + 86_400 * SECOND)):
        found = verify(warehouse, span)
        assert told(found.unexplained) == [("conflicting", "unexplained", 1)]
        assert found.unexplained[0].text.endswith(": 3")
    assert ("repeated", "harmless", 2) in told(found.findings)


def test_frames_that_the_disk_refused(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    lose(spool, 7)
    lose(spool, 2, Cause.SPOOL_DAMAGED)
    stop(spool, lost=9)
    load(spool, warehouse)
    found = verify(warehouse)
    assert told(found.findings) == [("lost", "explained", 2), ("lost", "explained", 7)]
    assert {finding.cause for finding in found.findings} == {"disk_full", "spool_damaged"}
    total = found.total
    assert (total.received, total.spooled, total.stored, total.explained) == (19, 10, 10, 9)


def test_frames_that_were_lost_without_a_cause(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    lose(spool, 7, None)
    stop(spool, lost=7)
    load(spool, warehouse)
    assert told(verify(warehouse).findings) == [("lost", "unexplained", 7)]


def test_frames_that_no_event_tells_of(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    lose(spool, 2)
    stop(spool, lost=5)
    load(spool, warehouse)
    found = verify(warehouse)
    assert told(found.findings) == [("balance", "unexplained", 3), ("lost", "explained", 2)]
    assert "received 15, spooled 10 and lost 5" in found.unexplained[0].text
    assert (found.total.received, found.total.unexplained) == (15, 3)


def test_a_run_that_died_is_known_by_the_next(tmp_path: Path, warehouse: ClickHouse) -> None:
    died = died_run(tmp_path, payloads(9))
    with list_segments(tmp_path)[-1].path.open("ab") as file:
        file.write(b"torn record")
    load(open_spool(tmp_path, clocks=Clocks(wall=lambda: BASE_NS)), warehouse)
    found = verify(warehouse)
    (run,) = found.runs
    assert (run.run_id, run.end, run.balance.received) == (died, "recovered", 9)
    assert told(run.findings) == [("torn", "explained", None)]
    assert "11 bytes" in run.findings[0].text
    assert run.findings[0].cause == "streamer_died"
    change(warehouse, delete("seq = 8"))
    assert told(verify(warehouse).unexplained) == [("missing", "unexplained", 1)]


def test_damage_of_the_spool_explains_what_it_took_and_no_more(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    died_run(tmp_path, payloads(9))
    path = list_segments(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    for number in (4, 5):
        data[data.index(b"frame %d" % number)] ^= 1
    path.write_bytes(data)
    load(open_spool(tmp_path, clocks=Clocks(wall=lambda: BASE_NS)), warehouse)
    found = verify(warehouse)
    assert told(found.findings) == [("missing", "explained", 2)]
    assert found.findings[0].text.endswith("seq 4 to 5")
    change(warehouse, delete("seq IN (6, 8)"))
    found = verify(warehouse)
    assert told(found.findings) == [("missing", "explained", 2), ("missing", "unexplained", 2)]
    assert found.unexplained[0].text == "not stored: seq 6, 8"


def test_a_lost_segment_explains_the_hole_at_its_place(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    spool = begin_run(tmp_path, 500, segment_bytes=4096)
    stop(spool)
    spool.close()
    list_segments(tmp_path)[2].path.unlink()
    load(open_spool(tmp_path, clocks=Clocks(wall=lambda: BASE_NS)), warehouse)
    found = verify(warehouse)
    (finding,) = found.findings
    assert (finding.kind, finding.standing, finding.cause) == (
        "missing",
        "explained",
        "spool_damaged",
    )
    total = found.total
    assert total.received == 500
    assert total.stored + total.explained == 500
    assert total.explained > 0


def test_damage_at_the_end_of_a_run_that_died(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 300, segment_bytes=4096)
    spool.close()
    first, *rest = list_segments(tmp_path)
    for segment in rest[1:]:
        segment.path.unlink()
    data = rest[0].path.read_bytes()
    position = data.index(b"frame ")
    rest[0].path.write_bytes(data[:position] + b"?" * (len(data) - position))
    load(open_spool(tmp_path, clocks=Clocks(wall=lambda: BASE_NS)), warehouse)
    found = verify(warehouse)
    assert found.unexplained == []
    assert found.total.stored == found.total.received
    assert {finding.standing for finding in found.findings} == {"explained"}


def test_a_run_that_goes_on(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    load(spool, warehouse)
    found = verify(warehouse)
    assert told(found.findings) == [("no_end", "unknown", None)]
    assert (found.runs[0].end, found.total.received) == ("unknown", 10)
    change(warehouse, delete("seq = 5"))
    assert told(verify(warehouse).unexplained) == [("missing", "unexplained", 1)]


def test_an_end_without_totals_is_said_as_unknown(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 3)
    spool.append_event(StreamEventKind.RUN_STOPPED)
    load(spool, warehouse)
    assert told(verify(warehouse).findings) == [("balance", "unknown", None)]


def test_a_span_in_the_middle_of_a_run(tmp_path: Path, warehouse: ClickHouse) -> None:
    """Frames are half a second apart: the span from second 2 to 6 holds 4 to 11."""
    recorded(tmp_path, warehouse)
    middle = Span(BASE_NS + 2 * SECOND, BASE_NS + 6 * SECOND)
    found = verify(warehouse, middle)
    assert (found.total.received, found.runs[0].end, found.findings) == (8, "later", [])
    change(warehouse, delete("seq IN (1, 6, 15)"))
    found = verify(warehouse, middle)
    assert [finding.text for finding in found.findings] == ["not stored: seq 6"]
    change(warehouse, delete("seq BETWEEN 3 AND 12"))
    found = verify(warehouse, middle)
    assert [finding.text for finding in found.findings] == ["not stored: seq 3 to 12"]
    assert found.total.stored == 0


def test_a_hole_at_the_border_of_two_spans_is_found_from_both(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    recorded(tmp_path, warehouse)
    change(warehouse, delete("seq IN (9, 10)"))
    border = BASE_NS + 5 * SECOND
    for span in (Span(DAY.begin, border), Span(border, DAY.end)):
        assert told(verify(warehouse, span).findings) == [("missing", "unexplained", 2)]


def test_a_clock_that_steps_back_makes_no_hole(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 0)
    for second in (0, 1, 2, 3, -5, -4, 4, 5):
        spool.append_frame(BASE_NS + second * SECOND, 0, 1, b"x")
    stop(spool)
    load(spool, warehouse)
    for begin in range(-6, 7, 2):
        for end in range(begin + 1, 8, 3):
            span = Span(BASE_NS + begin * SECOND, BASE_NS + end * SECOND)
            assert verify(warehouse, span).unexplained == []


def test_what_is_no_longer_kept_is_unknown(tmp_path: Path, warehouse: ClickHouse) -> None:
    day = 86_400 * SECOND
    spool = begin_run(tmp_path, 5)
    for number in range(5):
        spool.append_frame(BASE_NS + day + number, 0, 1, b"x")
    load(spool, warehouse)
    change(warehouse, "ALTER TABLE frames DROP PARTITION '2025-11-13'")
    found = verify(warehouse, Span(DAY.begin + day, DAY.end + day))
    assert told(found.findings) == [
        ("no_beginning", "unknown", None),
        ("no_end", "unknown", None),
    ]


def test_small_blocks_find_the_same(tmp_path: Path, warehouse: ClickHouse) -> None:
    run_id = recorded(tmp_path, warehouse, 60)
    change(
        warehouse,
        delete("seq IN (0, 9, 10, 11, 30, 58)"),
        again("seq = 20"),
        again("seq = 40", "* REPLACE ('other' AS payload)"),
    )
    answers = []
    with closing(connect(warehouse, role="tests")) as client:
        for block in (2, 3, 7, 1_000_000):
            evidence = Reader(client, DAY, block=block).read()
            answers.append((evidence.stored[run_id], evidence.accounts[run_id]))
    first, *others = answers
    assert first[0].missing == 5
    assert first[0].conflicting_examples == (40,)
    assert all(other == first for other in others)


def test_only_the_wanted_paper_users_are_read(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    with closing(connect(warehouse, role="tests")) as client:
        assert list(Reader(client, DAY, ["beta"]).read().stored) == []
        assert len(Reader(client, DAY, ["alpha", "beta"]).read().stored) == 1


def test_judging_is_pure(tmp_path: Path, warehouse: ClickHouse) -> None:
    run_id = recorded(tmp_path, warehouse)
    with closing(connect(warehouse, role="tests")) as client:
        evidence = Reader(client, DAY).read()
    arguments = (evidence.accounts[run_id], evidence.stored[run_id], SpooledRun(), DAY, None)
    assert judge_run(*arguments) == judge_run(*arguments)
