"""Decoding what a loader stored again: the same rows by the same decoder, added rows by another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import ClickHouse, PlatformConfig, dump_config
from ib_platform.redecode.app import Redecoded, redecode
from ib_platform.redecode.compare import Difference
from ib_platform.redecode.show import merged
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer import decode
from ib_platform.streamer.arrow import to_arrow
from ib_platform.streamer.decode import TABLES, Rows, RunDecoder
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, encode_event
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.due import dates_needing_revision
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads, make_config

DAY = date(2025, 11, 12)
NEXT = date(2025, 11, 13)
# The border of the two dates (22:30 UTC) lies among the frames.
BEGIN_NS = int(datetime(2025, 11, 12, 22, 29, 50, tzinfo=UTC).timestamp()) * 10**9
QUOTE = (
    b'{"topic":"smd+304037393","conid":304037393,"31":"58.25","84":"58.24",'
    b'"_updated":1762986600000}'
)
SPAN = (DAY, NEXT)


def records() -> list[Record]:
    """A run over the border of two dates: the captured ladder, quotes, a lost connection, frames
    that were lost, and one that cannot be decoded."""
    payloads = [p for frame in capture_ladder_payloads()[:120] for p in (frame, QUOTE)]
    payloads[101] = b'{"topic":"sbd+304037393","data":"nonsense"}'
    events = {
        0: StreamEvent(StreamEventKind.SUBSCRIBE_REQUESTED, None, "CL.NYMEX.front", CAPTURE_CONID),
        60: StreamEvent(StreamEventKind.FRAMES_LOST, Cause.DISK_FULL, detail={"lost_frames": 2}),
        150: StreamEvent(StreamEventKind.DISCONNECTED, Cause.DISCONNECTED),
        152: StreamEvent(StreamEventKind.SUBSCRIBE_REQUESTED, None, None, CAPTURE_CONID),
    }
    found, number = [], 0
    for seq, payload in enumerate(payloads):
        at = BEGIN_NS + seq * 10**8
        if (event := events.get(seq)) is not None:
            told = encode_event(
                StreamEvent(event.kind, event.cause, event.contract, event.conid, seq, event.detail)
            )
            found.append(Record(RecordKind.EVENT, at, at, number, 1, told))
            number += 1
        # A damaged spool has lost a few.
        if not 30 <= seq < 33:
            found.append(Record(RecordKind.FRAME, at, at, seq, 1, payload))
    return found


def store(client: Any, rows: Rows, *tables: str) -> None:
    for table in tables or TABLES:
        client.insert_arrow(table, to_arrow(table, rows[table]))


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        store(opened, RunDecoder("alpha", "run-a").decode(records()))
        yield opened


@pytest.fixture
def config(warehouse: ClickHouse, tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path, clickhouse=warehouse.model_dump())


def run(config: PlatformConfig, apply: bool = False, block: int = 50) -> list[Redecoded]:
    return list(redecode(config, *SPAN, apply=apply, block=block))


def decoded(client: Any, aside: str = "decoder_version") -> dict[str, list[Any]]:
    return {
        table: client.query(
            f"SELECT * EXCEPT ({aside}) FROM {table} FINAL ORDER BY ALL"
        ).result_rows
        for table in ("ladder_frames", "quote_frames")
    }


def versions(client: Any, table: str) -> dict[int, int]:
    sql = f"SELECT decoder_version, count() FROM {table} FINAL GROUP BY 1"
    return dict(client.query(sql).result_rows)


def test_the_decoder_makes_of_the_record_what_is_stored(
    client: Any, config: PlatformConfig
) -> None:
    before = decoded(client, "seq")
    (done,) = run(config)
    assert (done.kept_because, done.outdated, done.inserted) == (None, 0, 0)
    assert all(found.is_none for found in done.differences.values())
    rows = {place: found.equal for place, found in done.differences.items()}
    assert {place[:2] for place in rows} == {
        (day, table) for day in SPAN for table in ("ladder_frames", "quote_frames")
    }
    assert sum(rows.values()) == sum(map(len, before.values())) > 230
    # Another size of blocks, or one date of the two, changes nothing.
    assert run(config, block=7)[0].differences == done.differences
    (second,) = redecode(config, NEXT, NEXT, apply=False)
    assert second.differences == {p: d for p, d in done.differences.items() if p[0] == NEXT}


def test_another_decoder_is_shown_first_and_adds_its_rows(
    client: Any, config: PlatformConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalize(client, config, DAY)
    finalize(client, config, NEXT)
    now = datetime(2025, 11, 17, tzinfo=UTC)
    assert dates_needing_revision(client, now) == []
    before = decoded(client)
    # What an older decoder may have stored: wrong sizes, and nothing of the first frames.
    client.command(
        "ALTER TABLE ladder_frames UPDATE last_size = 7, suspect = NOT suspect WHERE seq >= 200 "
        "SETTINGS mutations_sync = 1"
    )
    client.command("ALTER TABLE ladder_frames DELETE WHERE seq < 4 SETTINGS mutations_sync = 1")
    monkeypatch.setattr(decode, "DECODER_VERSION", 2)
    (shown,) = run(config)
    found = merged([shown])
    total = Difference()
    for difference in found.values():
        total.add(difference)
    assert (total.differing, total.only_new, total.only_old) == (20, 2, 0)
    assert total.by_column["suspect"] == 20
    assert set(total.by_column) == {"suspect", "last_size"}
    assert versions(client, "ladder_frames").keys() == {1}, "shown only"
    (applied,) = run(config, apply=True)
    assert applied.inserted == applied.outdated == shown.outdated
    assert decoded(client) == before
    assert versions(client, "ladder_frames").keys() == {2}
    assert versions(client, "quote_frames").keys() == {2}
    (again,) = run(config, apply=True)
    assert (again.inserted, all(one.is_none for one in again.differences.values())) == (0, True)
    assert {DAY, NEXT} <= set(dates_needing_revision(client, now))


def test_rows_that_only_the_old_decoder_made_stay_and_are_told(
    client: Any, config: PlatformConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = RunDecoder("alpha", "run-a").decode(records())["quote_frames"][-1]
    client.insert_arrow("quote_frames", to_arrow("quote_frames", [(*extra[:5], 999, *extra[6:])]))
    monkeypatch.setattr(decode, "DECODER_VERSION", 2)
    run(config, apply=True)
    (done,) = run(config)
    assert done.differences[NEXT, "quote_frames", CAPTURE_CONID].only_old == 1
    assert versions(client, "quote_frames")[1] == 1


def test_frames_that_arrive_meanwhile_are_not_lost(
    client: Any, config: PlatformConfig, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another streamer, still of the old decoder, loads while everything is decoded again."""
    arriving = RunDecoder("beta", "run-b").decode(records())
    stop = threading.Event()
    sent: list[int] = []

    def load() -> None:
        with closing(connect(warehouse)) as other:
            while not stop.is_set() and len(sent) < len(arriving["frames"]):
                number = len(sent)
                seq = arriving["frames"][number][6]
                part = {
                    table: [row for row in rows if row[6 if table == "frames" else 5] == seq]
                    for table, rows in arriving.items()
                }
                store(other, part, "frames", "ladder_frames", "quote_frames")
                sent.append(seq)

    loading = threading.Thread(target=load)
    monkeypatch.setattr(decode, "DECODER_VERSION", 2)
    loading.start()
    try:
        run(config, apply=True, block=40)
        run(config, apply=True, block=40)
    finally:
        stop.set()
        loading.join()
    assert sent
    for table, number in (("ladder_frames", 5), ("quote_frames", 5), ("frames", 6)):
        asked = f"SELECT DISTINCT seq FROM {table} WHERE run_id = 'run-b'"
        stored = {seq for (seq,) in client.query(asked).result_rows}
        assert stored == {row[number] for row in arriving[table] if row[number] in set(sent)}


def test_a_run_that_has_lost_its_beginning_is_kept(client: Any, config: PlatformConfig) -> None:
    client.insert(
        "dropped_partitions",
        [("frames", DAY, "f", 1, 1, 1, "0", datetime(2025, 12, 1, tzinfo=UTC))],
    )
    (done,) = redecode(config, NEXT, NEXT, apply=True)
    assert done.kept_because == (
        "it began on 2025-11-12, and retention has dropped the record of 2025-11-12"
    )
    assert done.inserted == 0


def command(config: PlatformConfig, folder: Path, *options: str) -> Result:
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    return CliRunner().invoke(main, ["redecode", "--config", str(file), *options])


def test_the_command(client: Any, config: PlatformConfig, tmp_path: Path) -> None:
    span = ("--from", str(DAY), "--to", str(NEXT))
    shown = command(config, tmp_path, *span)
    assert shown.exit_code == 0, shown.output
    assert "run run-a of alpha: 0 rows are not of decoder 1" in shown.output
    assert "0 rows would be stored; nothing was changed" in shown.output
    unknown = command(config, tmp_path, "--from", "2024-01-01", "--to", "2024-01-02")
    assert (unknown.exit_code, "there are 2, 2025-11-12 to 2025-11-13" in unknown.output) == (
        2,
        True,
    )
    backwards = command(config, tmp_path, "--from", str(NEXT), "--to", str(DAY))
    assert backwards.exit_code == 2
