"""Spool -> ClickHouse: each complete record once, whatever dies in between."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.batches import MANIFEST_NAME, Part, load_manifest
from ib_platform.streamer.segments import list_segments, list_torn, size_of
from ib_platform.streamer.sender import Sender, Sent, retry_delay
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.flaky_proxy import FlakyProxy
from ib_platform_tests.streamer.spools import (
    PAPER_USER,
    append,
    died_run,
    events,
    loader_of,
    open_spool,
    query,
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.streamer.test_fuzz import mutated_frames
from ib_platform_tests.support import capture_ladder_payloads, wait_until
from ib_platform_tests.warehouse.server import EmbeddedServer


def no_pause(seconds: float) -> None:
    """Retries at once."""


def test_frames_arrive_while_they_are_written(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path, segment_bytes=100_000)
    loader = loader_of(spool, warehouse)
    loader.start()
    payloads = list(capture_ladder_payloads()[:600])
    for begin in range(0, 600, 60):
        append(spool, payloads[begin : begin + 60])
        wait_until(lambda: loader.progress.stored == spool.frames_written, "the frames so far")
    spool.append_event(StreamEventKind.RUN_STOPPED)
    assert loader.stop(60)
    health = loader.health()
    assert (health.state, health.lag_seconds, health.pending_bytes) == ("idle", None, 0)
    assert loader.progress.undecodable == {}
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == list(range(600))
    stored = query(warehouse, "SELECT payload FROM frames ORDER BY seq")
    assert [text.encode() for (text,) in stored] == payloads
    assert query(warehouse, "SELECT count(), uniqExact(seq) FROM ladder_frames") == [(600, 600)]
    assert len(list_segments(tmp_path)) == 1


def test_stored_columns_are_those_that_were_received(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path, clocks=Clocks(lambda: 1_763_040_000_123_456_789, lambda: 5))
    spool.append_event(StreamEventKind.SUBSCRIBE_REQUESTED, conid=304037393, contract="CL.NYMEX.1")
    append(
        spool,
        [capture_ladder_payloads()[0], b"\xff\x00 not json", b'{"topic":"smd+9","31":"C5.5"}'],
    )
    assert loader_of(spool, warehouse).drain()
    spool.close()
    assert query(
        warehouse,
        "SELECT toUnixTimestamp64Nano(received_at), toString(trade_date), monotonic_ns, paper_user,"
        " connection, seq, topic, conid, hex(payload) = hex(unhex('FF00')||' not json'),"
        " decode_error FROM frames WHERE seq = 1",
    ) == [
        (
            1_763_040_000_500_000_000,
            "2025-11-13",
            500_000_000,
            "alpha",
            1,
            1,
            "undecodable",
            None,
            1,
        )
        + ("not_json",)
    ]
    assert query(
        warehouse,
        "SELECT epoch, window, role, toString(tick), length(sizes), suspect FROM ladder_frames",
    ) == [(1, 1, "full", "0.01", 21, False)]
    assert query(
        warehouse, "SELECT conid, toString(last), last_prefix, bid, updated_at FROM quote_frames"
    ) == [(9, "5.5", "C", None, None)]
    assert query(
        warehouse,
        "SELECT kind, contract, conid, cause, after_seq, toUnixTimestamp64Nano(at), detail"
        " FROM stream_events",
    ) == [
        ("subscribe_requested", "CL.NYMEX.1", 304037393, None, 0, 1_763_040_000_123_456_789, "{}")
    ]


def test_two_trade_dates_in_one_batch(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path)
    border = 1_763_073_000 * 10**9  # 16:30 in Chicago
    for seq, ns in enumerate((border - 1, border)):
        spool.append_frame(ns, seq, 1, capture_ladder_payloads()[0])
    assert loader_of(spool, warehouse).drain()
    spool.close()
    dates = query(warehouse, "SELECT toString(trade_date) FROM frames ORDER BY seq")
    assert dates == [("2025-11-13",), ("2025-11-14",)]


def test_a_clean_run_leaves_its_last_segment_for_the_next_to_delete(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    first = open_spool(tmp_path)
    append(first, [b"one"])
    first.append_event(StreamEventKind.RUN_STOPPED)
    assert loader_of(first, warehouse).drain()
    first.close()
    second = open_spool(tmp_path)
    assert loader_of(second, warehouse).drain()
    second.close()
    assert [segment.run_id for segment in list_segments(tmp_path)] == [second.run_id]
    assert events(warehouse, "run_recovered") == []
    assert stored_seqs(warehouse, first.run_id) == [0]


def test_two_earlier_runs_are_recovered_in_order(tmp_path: Path, warehouse: ClickHouse) -> None:
    payloads = list(capture_ladder_payloads())
    first = died_run(tmp_path, payloads[:170], segment_bytes=20_000)
    second = died_run(tmp_path, payloads[:130], segment_bytes=20_000)
    with list_segments(tmp_path)[-1].path.open("ab") as file:
        file.write(b"torn record")
    third = open_spool(tmp_path)
    append(third, payloads[:10])
    loader = loader_of(third, warehouse)
    assert loader.drain()
    assert loader.progress.stored == 10
    assert loader.health().recovered_frames == 300
    assert stored_seqs(warehouse, first) == list(range(170))
    assert stored_seqs(warehouse, second) == list(range(130))
    assert events(warehouse, "run_recovered") == [
        (third.run_id, {"run_id": first, "frames": 170, "next_seq": 170, "torn_bytes": 0}),
        (third.run_id, {"run_id": second, "frames": 130, "next_seq": 130, "torn_bytes": 11}),
    ]
    assert (
        events(warehouse, "spool_torn")
        == [(third.run_id, {"run_id": second, "segment": 1, "torn_bytes": 11})]
        or len(events(warehouse, "spool_torn")) == 1
    )
    third.close()
    assert {segment.run_id for segment in list_segments(tmp_path)} == {third.run_id}
    assert list_torn(tmp_path) == []


def test_the_own_run_is_last_even_if_the_clock_stepped_back(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    later_name = died_run(tmp_path, [b"from the future"], run_id="alpha-20990101T000000000Z-0000")
    spool = open_spool(tmp_path)
    append(spool, [b"now"])
    loader = loader_of(spool, warehouse)
    assert loader.drain()
    spool.close()
    assert (loader.progress.stored, loader.health().recovered_frames) == (1, 1)
    assert events(warehouse, "run_recovered")[0][1]["run_id"] == later_name


def test_an_answer_that_got_lost_doubles_nothing(tmp_path: Path, warehouse: ClickHouse) -> None:
    stop_merges(warehouse)
    payloads = list(capture_ladder_payloads()[:800])
    spool = open_spool(tmp_path, segment_bytes=50_000)
    append(spool, payloads)
    with FlakyProxy(warehouse.port, drop_request=0.08, drop_response=0.2, seed=7) as proxy:
        through = warehouse.model_copy(update={"port": proxy.port})
        loader = loader_of(spool, through, rng=random.Random(3), pause=no_pause)
        assert loader.drain()
    spool.close()
    assert proxy.dropped_requests > 3
    assert proxy.dropped_responses > 3
    assert stored_seqs(warehouse, spool.run_id) == list(range(800))
    ladder = "SELECT count(), uniqExact(seq) FROM ladder_frames"
    assert query(warehouse, ladder) == [(800, 800)]


def test_clickhouse_may_be_away(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        migrate(server.settings)
        spool = open_spool(tmp_path / "spool")
        loader = loader_of(spool, server.settings, rng=random.Random(5))
        loader.start()
        append(spool, list(capture_ladder_payloads()[:100]))
        wait_until(lambda: loader.progress.stored == 100, "the first frames")
        server.kill()
        append(spool, list(capture_ladder_payloads()[100:400]))
        wait_until(lambda: loader.health().state == "retrying", "an error in health")
        health = loader.health()
        assert health.last_error is not None
        assert "no answer" in health.last_error
        assert health.pending_bytes > 0
        assert health.lag_seconds is not None
        assert spool.frames_written == 400
        server.start()
        assert loader.stop(120)
        assert (loader.progress.stored, loader.health().last_error) == (400, None)
        spool.close()
        assert stored_seqs(server.settings, spool.run_id) == list(range(400))


def test_stop_ends_in_time_and_the_next_run_goes_on(tmp_path: Path, warehouse: ClickHouse) -> None:
    away = warehouse.model_copy(update={"port": free_port()})
    first = open_spool(tmp_path)
    append(first, [b"one", b"two"])
    loader = loader_of(first, away)
    loader.start()
    wait_until(lambda: loader.health().state == "retrying", "an error in health")
    waiting, written = loader.health().pending_bytes, first.bytes_written
    append(first, [b"three"])
    # Nobody has looked at the folder since: the loader is busy with its first batch.
    assert loader.health().pending_bytes - waiting == first.bytes_written - written > 5
    assert not loader.stop(0.3)
    assert loader.progress.stored == 0
    first.close()
    manifest = load_manifest(tmp_path, PAPER_USER)
    assert manifest.batch is not None
    second = open_spool(tmp_path)
    assert loader_of(second, warehouse).drain()
    second.close()
    assert stored_seqs(warehouse, first.run_id) == [0, 1, 2]


def test_drain_gives_up_at_its_deadline(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path)
    append(spool, [b"one"])
    away = warehouse.model_copy(update={"port": free_port()})
    assert not loader_of(spool, away).drain(0.2)
    assert loader_of(spool, warehouse).drain(60)
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == [0]


def test_an_error_that_waiting_does_not_cure_blocks_and_skips_nothing(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    client = connect(warehouse, role="tests")
    client.command("RENAME TABLE frames TO frames_away")
    seen = []

    def cure(seconds: float) -> None:
        seen.append((seconds, loader.health()))
        if len(seen) == 2:
            client.command("RENAME TABLE frames_away TO frames")

    spool = open_spool(tmp_path)
    append(spool, [b"one", b"two"])
    loader = loader_of(spool, warehouse, pause=cure)
    assert loader.drain()
    spool.close()
    client.close()
    assert [seconds for seconds, _ in seen] == [30, 30]
    assert {health.state for _, health in seen} == {"blocked"}
    assert "UNKNOWN_TABLE" in (seen[0][1].last_error or "")
    assert loader.health().state == "idle"
    assert stored_seqs(warehouse, spool.run_id) == [0, 1]


def test_the_same_trouble_is_said_once_whatever_its_query_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def insert(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise DatabaseError(f"Code: {60 if tries < 4 else 241}. (query id {tries})")

    sender = Sender(ClickHouse(), lambda _: None, random.Random(1))
    monkeypatch.setattr(sender, "_insert", insert)
    sent = sender.send(Part("frames", "token", 1), None, lambda: tries < 6)  # type: ignore[arg-type]
    assert sent is Sent.STOPPED
    assert sender.last_error == "Code: 241. (query id 6)"
    assert [record.getMessage()[-2] for record in caplog.records] == ["1", "4"]


def test_retries_back_off_with_jitter_up_to_a_cap() -> None:
    for attempt, longest in enumerate((0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0)):
        delays = {retry_delay(attempt, random.Random(seed)) for seed in range(50)}
        assert len(delays) == 50
        assert all(longest / 2 <= delay <= longest for delay in delays)
    assert retry_delay(10**9, random.Random(1)) <= 5.0


def test_a_server_that_comes_late_is_met_by_backoff(tmp_path: Path, warehouse: ClickHouse) -> None:
    late = warehouse.model_copy(update={"port": free_port()})
    delays: list[float] = []
    proxies: list[FlakyProxy] = []

    def pause(seconds: float) -> None:
        delays.append(seconds)
        if len(delays) == 6:
            proxies.append(FlakyProxy(warehouse.port, port=late.port))

    spool = open_spool(tmp_path)
    append(spool, [b"one"])
    assert loader_of(spool, late, rng=random.Random(1), pause=pause).drain()
    spool.close()
    proxies[0].close()
    rng = random.Random(1)
    assert delays == [retry_delay(attempt, rng) for attempt in range(6)]


def test_a_damaged_manifest_blocks_loading_but_not_spooling(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    (tmp_path / MANIFEST_NAME).write_text("{}")
    spool = open_spool(tmp_path)
    loader = loader_of(spool, warehouse)
    loader.start()
    wait_until(lambda: loader.health().state == "blocked", "a blocked loader")
    assert "moves it aside" in (loader.health().last_error or "")
    append(spool, [b"one"])
    (tmp_path / MANIFEST_NAME).unlink()
    assert loader.stop(60)
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == [0]


def test_drain_raises_what_it_cannot_cure(tmp_path: Path, warehouse: ClickHouse) -> None:
    (tmp_path / MANIFEST_NAME).write_text("{}")
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolError, match="is damaged"):
        loader_of(spool, warehouse).drain()
    spool.close()


def test_damage_loses_only_what_it_hit_and_is_reported(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    run_id = died_run(tmp_path, [b"frame %d" % n for n in range(9)])
    path = list_segments(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    data[data.index(b"frame 4")] ^= 1
    path.write_bytes(data)
    spool = open_spool(tmp_path)
    assert loader_of(spool, warehouse).drain()
    spool.close()
    assert stored_seqs(warehouse, run_id) == [0, 1, 2, 3, 5, 6, 7, 8]
    ((_, detail),) = events(warehouse, "spool_torn")
    assert (detail["run_id"], detail["skipped_bytes"]) == (run_id, 37 + len(b"frame 4"))
    assert (detail["next_seq"], detail["found_seq"]) == (4, 5)
    cause = query(warehouse, "SELECT cause FROM stream_events WHERE kind = 'spool_torn'")
    assert cause == [(Cause.SPOOL_DAMAGED,)]
    recovered = events(warehouse, "run_recovered")[0][1]
    assert (recovered["frames"], recovered["next_seq"]) == (8, 9)


def test_a_missing_segment_is_reported(tmp_path: Path, warehouse: ClickHouse) -> None:
    run_id = died_run(tmp_path, [bytes([65 + n]) * 2000 for n in range(6)], segment_bytes=4096)
    list_segments(tmp_path)[2].path.unlink()
    spool = open_spool(tmp_path)
    assert loader_of(spool, warehouse).drain()
    spool.close()
    stored = stored_seqs(warehouse, run_id)
    assert 0 < len(stored) < 6
    ((_, detail),) = events(warehouse, "spool_torn")
    assert detail["missing_segments"] == 1
    assert {detail["next_seq"] - 1, detail["next_seq"]} & set(stored) == {detail["next_seq"] - 1}


def test_the_spool_stays_small_while_it_is_loaded(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path, segment_bytes=20_000)
    loader = loader_of(spool, warehouse)
    loader.start()
    for _ in range(10):
        append(spool, list(capture_ladder_payloads()[:60]))
    wait_until(lambda: loader.progress.stored == 600, "all frames")
    wait_until(lambda: loader.health().pending_bytes == 0, "an empty backlog")
    assert loader.stop(30)
    left = list_segments(tmp_path)
    assert sum(size_of(segment.path) for segment in left) < 60_000
    spool.close()


def test_clickhouse_takes_whatever_was_received(tmp_path: Path, warehouse: ClickHouse) -> None:
    payloads = list(mutated_frames(3000, seed=99))
    spool = open_spool(tmp_path)
    append(spool, payloads)
    loader = loader_of(spool, warehouse, Limits(load_rows=1000))
    assert loader.drain()
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == list(range(3000))
    sql = "SELECT decode_error, count() FROM frames WHERE decode_error IS NOT NULL GROUP BY 1"
    assert dict(query(warehouse, sql)) == loader.progress.undecodable
    hashes = query(warehouse, "SELECT lower(hex(SHA256(payload))) FROM frames ORDER BY seq")
    assert [row[0] for row in hashes] == [sha256(payload).hexdigest() for payload in payloads]
