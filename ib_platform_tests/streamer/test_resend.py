"""Refused batches are set aside and sent again; what a server has lost is sent again, once."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import filelock
import msgspec
import pytest
from click.testing import CliRunner

from ib_platform.cli import main
from ib_platform.config import ClickHouse
from ib_platform.errors import PlatformInUseError, SpoolError, WarehouseError
from ib_platform.paths import PodPaths
from ib_platform.states import StreamEventKind
from ib_platform.streamer.batch_loading import MOST_REFUSED_IN_A_ROW
from ib_platform.streamer.quarantine import (
    BATCH_NAME,
    QUARANTINE_FOLDER,
)
from ib_platform.streamer.quarantined import (
    Waiting,
    quarantined,
    quarantined_bytes,
    quarantined_count,
    waiting,
)
from ib_platform.streamer.resend import Resender
from ib_platform.streamer.resend_command import resend_spool
from ib_platform.warehouse.connect import Client, connect
from ib_platform_tests.pod_processes import write_config
from ib_platform_tests.streamer.refusing import POISON, allow, drained, forbid
from ib_platform_tests.streamer.spools import (
    PAPER_USER,
    append,
    events,
    loader_of,
    open_spool,
    query,
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads, make_config

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Client]:
    with closing(connect(warehouse, role="tests")) as client:
        stop_merges(warehouse)
        yield client


def test_a_refused_batch_is_set_aside_whole_and_the_rest_goes_on(
    tmp_path: Path, warehouse: ClickHouse, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    spool = open_spool(tmp_path)
    append(spool, [*capture_ladder_payloads()[:60], POISON, *capture_ladder_payloads()[60:140]])
    with caplog.at_level(logging.ERROR):
        loader = drained(spool, warehouse)
    assert (loader.progress.stored, loader.progress.refused) == (91, 50), (
        "all are taken out of the spool"
    )
    # Batches of 50: the second one has the poison, seq 60.
    assert stored_seqs(warehouse, spool.run_id) == [*range(50), *range(100, 141)]
    (batch,) = quarantined(tmp_path)
    assert [record.number for record in batch.records()] == list(range(50, 100))
    told = batch.batch
    assert (told.first_seq, told.last_seq, told.frames) == (50, 99, 50)
    (refusal,) = told.refusals
    assert (refusal.part.table, refusal.code) == ("frames", 469)
    assert refusal.error.startswith("Constraint `forbidden` for table "), "the server's words only"
    assert "violated" in refusal.error
    assert "http" not in refusal.error
    health = loader.health()
    assert health.quarantined_batches == quarantined_count(tmp_path) == 1
    assert health.quarantined_since == told.refused_at
    assert (health.quarantined_error or "").startswith("frames, code 469: Constraint `forbidden`")
    assert quarantined_bytes(tmp_path) > 0
    drained(spool, warehouse)
    ((_, detail),) = events(warehouse, StreamEventKind.BATCH_REFUSED)
    assert (detail["batch"], detail["first_seq"], detail["last_seq"]) == (told.name, 50, 99)
    assert detail["folder"] == str(batch.folder)
    assert f"they are set aside in {batch.folder}" in caplog.text
    assert f"`ib-platform spool resend --paper-user {PAPER_USER}`" in caplog.text
    ladders = query(warehouse, "SELECT count() FROM ladder_frames WHERE seq BETWEEN 50 AND 99")
    assert ladders == [(49,)], "parts that are not refused are stored"
    spool.close()


def test_it_is_sent_again_once(tmp_path: Path, warehouse: ClickHouse, client: Client) -> None:
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    spool = open_spool(tmp_path)
    append(spool, [*capture_ladder_payloads()[:20], POISON, *capture_ladder_payloads()[20:60]])
    drained(spool, warehouse)
    (tried,) = Resender(client, warehouse).quarantine(tmp_path, NOW)
    assert tried.refused is not None
    assert tried.refused.startswith("Constraint `forbidden` for table ")
    assert quarantined_count(tmp_path) == 1, "still refused: it stays"
    allow(client, "frames")
    (looked,) = Resender(client, warehouse, dry_run=True).quarantine(tmp_path, NOW)
    (resent,) = Resender(client, warehouse).quarantine(tmp_path, NOW)
    assert looked.sent["frames"] == resent.sent["frames"] == 50
    assert (resent.sent["ladder_frames"], resent.there["ladder_frames"]) == (0, 49)
    assert stored_seqs(warehouse, spool.run_id) == list(range(61))
    assert quarantined_count(tmp_path) == 0
    ((run_id, detail),) = events(warehouse, StreamEventKind.BATCH_RESENT)
    assert (run_id, detail["resent_at"]) == (spool.run_id, NOW.isoformat())
    assert list(Resender(client, warehouse).quarantine(tmp_path, NOW)) == []
    spool.close()


def test_one_batch_that_nothing_cures_keeps_no_other_back(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    settings = warehouse.model_dump()
    file = str(write_config(make_config(tmp_path, clickhouse=settings), tmp_path))
    folder = PodPaths(tmp_path, PAPER_USER).spool
    spool = open_spool(folder)
    append(spool, [POISON, *capture_ladder_payloads()[:60], b"curable"])
    forbidding_more = "ALTER TABLE frames ADD CONSTRAINT cured_soon CHECK payload != 'curable'"
    client.command(forbidding_more)
    drained(spool, warehouse)
    first, second = quarantined(folder)
    assert first.batch.begin.offset < second.batch.begin.offset
    client.command("ALTER TABLE frames DROP CONSTRAINT cured_soon")
    done = CliRunner().invoke(main, ["spool", "resend", "--config", file])
    assert done.exit_code == WarehouseError.exit_code
    assert f"refused batch {first.batch.name}: still refused: Constraint `forbidden`" in done.output
    assert "12 rows sent" in done.output
    assert f"1 batch that stays in {folder / QUARANTINE_FOLDER}" in done.output
    assert f"`ib-platform spool resend --paper-user {PAPER_USER}`" in done.output
    assert "beta: no spool at" in done.output, "the next paper user has its turn"
    assert stored_seqs(warehouse, spool.run_id) == list(range(50, 62))
    (left,) = quarantined(folder)
    assert left == first
    spool.close()


def test_another_error_is_no_refusal(tmp_path: Path, warehouse: ClickHouse, client: Client) -> None:
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    spool = open_spool(tmp_path)
    append(spool, [POISON])
    drained(spool, warehouse)
    client.command("DROP TABLE frames")
    with pytest.raises(WarehouseError, match="UNKNOWN_TABLE"):
        list(Resender(client, warehouse).quarantine(tmp_path, NOW))
    assert quarantined_count(tmp_path) == 1
    spool.close()


def test_a_book_does_not_go_on_over_ladder_frames_that_are_missing(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    forbid(client, "ladder_frames", "seq != 70")
    spool = open_spool(tmp_path)
    append(spool, list(capture_ladder_payloads()[:200]))
    drained(spool, warehouse)
    rows = query(warehouse, "SELECT seq, role, suspect FROM ladder_frames ORDER BY seq")
    assert [seq for seq, _, _ in rows] == [*range(50), *range(100, 200)]
    after = [(role, suspect) for seq, role, suspect in rows if seq >= 100]
    until_full = [suspect for role, suspect in after][: [r for r, _ in after].index("full")]
    assert until_full
    assert all(until_full), "suspect until a full frame lays the book anew"
    assert not after[-1][1]
    spool.close()


def test_where_everything_is_refused_it_waits(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    forbid(client, "frames", "0")
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            allow(client, "frames")

    spool = open_spool(tmp_path)
    append(spool, list(capture_ladder_payloads()[:400]))
    loader = loader_of(spool, warehouse, rng=random.Random(1), pause=pause)
    assert loader.drain()
    assert quarantined_count(tmp_path) == MOST_REFUSED_IN_A_ROW
    assert stored_seqs(warehouse, spool.run_id) == list(range(150, 400))
    assert max(pauses) == 30, "blocked: somebody has to cure it"
    spool.close()


def test_what_the_server_lost_is_sent_again_from_kept_segments(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    spool = open_spool(tmp_path, segment_bytes=20_000, keep_loaded=1800)
    append(spool, list(capture_ladder_payloads()[:600]))
    drained(spool, warehouse)
    assert len(list((tmp_path / "loaded").glob("*.spool"))) > 3
    lost = "seq >= 100 AND seq % 3 != 0"
    before = query(warehouse, "SELECT * FROM ladder_frames ORDER BY seq")
    for table in ("frames", "ladder_frames"):
        # A deletion is a mutation, and mutations wait for merges.
        client.command(f"SYSTEM START MERGES {warehouse.database}.{table}")
        client.command(f"DELETE FROM {table} WHERE {lost}")
    resent = list(Resender(client, warehouse).acknowledged(tmp_path, PAPER_USER))
    sent = sum(one.sent.get("frames", 0) for one in resent)
    assert sent == sum(1 for seq in range(100, 600) if seq % 3)
    assert stored_seqs(warehouse, spool.run_id) == list(range(600))
    assert query(warehouse, "SELECT * FROM ladder_frames ORDER BY seq") == before
    again = list(Resender(client, warehouse).acknowledged(tmp_path, PAPER_USER))
    assert sum(sum(one.sent.values()) for one in again) == 0
    spool.close()


def test_a_segment_without_its_state_is_named(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    spool = open_spool(tmp_path, segment_bytes=20_000, keep_loaded=1800)
    append(spool, list(capture_ladder_payloads()[:200]))
    drained(spool, warehouse)
    state = sorted((tmp_path / "loaded").glob("*.state.json"))[0]
    state.write_bytes(b"{")
    with pytest.raises(SpoolError, match=state.name):
        list(Resender(client, warehouse).acknowledged(tmp_path, PAPER_USER))
    spool.close()


def test_a_batch_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / QUARANTINE_FOLDER / "alpha-run.000000.0-10"
    folder.mkdir(parents=True)
    with pytest.raises(SpoolError, match=BATCH_NAME):
        quarantined(tmp_path)
    assert waiting(tmp_path) == Waiting(1, None, None)
    (folder / BATCH_NAME).write_bytes(msgspec.json.encode({"name": "x"}))
    with pytest.raises(SpoolError, match="cannot be read"):
        quarantined(tmp_path)


def test_the_command_and_verify_tell_the_same(
    tmp_path: Path, warehouse: ClickHouse, client: Client
) -> None:
    config = make_config(tmp_path, clickhouse=warehouse.model_dump())
    file = str(write_config(config, tmp_path))
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    spool = open_spool(PodPaths(tmp_path, PAPER_USER).spool)
    append(spool, [*capture_ladder_payloads()[:20], POISON, *capture_ladder_payloads()[20:60]])
    drained(spool, warehouse)
    spool.append_event(StreamEventKind.RUN_STOPPED, detail={"received": 61, "spooled": 61})
    drained(spool, warehouse)
    spool.close()
    at = ["--from", "2025-11-12", "--to", "2025-11-14", "--config", file]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, arguments)
        return done.exit_code, done.output

    code, said = run("verify", *at)
    assert code == 0, said
    assert "quarantined" in said
    assert "50" in said
    code, said = run("spool", "resend", "--config", file, "--paper-user", PAPER_USER)
    assert code == WarehouseError.exit_code
    allow(client, "frames")
    code, said = run("spool", "resend", "--config", file, "--dry-run")
    assert code == 0, said
    assert "frames: 50 lacking, 0 there" in said
    assert f"{PAPER_USER}: 50 rows would be sent" in said
    assert "beta: no spool at" in said
    code, said = run("spool", "resend", "--config", file, "--acknowledged")
    assert code == 0, said
    assert f"{PAPER_USER}: 50 rows sent" in said
    assert stored_seqs(warehouse, spool.run_id) == list(range(61))
    code, said = run("verify", *at)
    assert code == 0, said
    assert "quarantined" not in said


def test_one_resend_at_a_time(tmp_path: Path, warehouse: ClickHouse) -> None:
    with filelock.FileLock(tmp_path / "resend.lock"), pytest.raises(PlatformInUseError):
        resend_spool(warehouse, tmp_path, PAPER_USER, acknowledged=False, dry_run=False, say=print)
