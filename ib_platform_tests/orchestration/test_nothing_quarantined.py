"""The check ``nothing_quarantined``, with batches that the real engine has refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.loader import LoadingContextForTest

from ib_platform.cli import main
from ib_platform.config import CONFIG_VARIABLE, ClickHouse, dump_config
from ib_platform.definitions import defs
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.orchestration.partitions import PARTITION_TAG
from ib_platform.orchestration.refusals import refusals_result
from ib_platform.orchestration.standing import results_said_again
from ib_platform.paths import PodPaths
from ib_platform.states import StreamEventKind
from ib_platform.streamer.quarantined import quarantined
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import Client, connect
from ib_platform.warehouse.due import dates_needing_revision
from ib_platform.warehouse.refused import WaitingBatch
from ib_platform_tests.streamer.refusing import POISON, allow, drained, forbid
from ib_platform_tests.streamer.spools import (
    HEARTBEAT,
    PAPER_USER,
    append,
    open_spool,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads, make_config
from ib_platform_tests.warehouse.recording import assign

DAY = date(2025, 11, 13)
"""Trade date of the frames that ``append`` writes, which end long before its close."""
EVENING = datetime(2025, 11, 13, 23, tzinfo=UTC)
CHECK = dg.AssetCheckKey(dg.AssetKey("frames"), "nothing_quarantined")


@pytest.fixture
def client(
    warehouse: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client of the database that IB_PLATFORM_CONFIG names."""
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(make_config(tmp_path, clickhouse=warehouse)))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    with closing(connect(warehouse)) as client:
        yield client


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(open_spool(PodPaths(tmp_path, PAPER_USER).spool)) as spool:
        yield spool


def finalized(instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    """The check as the job evaluates it that ``finalize_date`` requests."""
    job = defs().resolve_job_def("finalize_date_job")
    result = job.execute_in_process(partition_key=str(DAY), instance=instance, raise_on_error=False)
    assert result.success, "a failed check alerts, it does not fail the run"
    (found,) = (e for e in result.get_asset_check_evaluations() if e.asset_check_key == CHECK)
    return found


def in_sight(instance: dg.DagsterInstance) -> bool:
    """Whether Dagster's UI shows the newest result, and not "Not Evaluated"."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])
    return asyncio.run(
        records[CHECK].targets_latest_materialization(LoadingContextForTest(instance))
    )


def resend() -> str:
    """What the check tells a person to run."""
    done = CliRunner().invoke(main, ["spool", "resend", "--paper-user", PAPER_USER])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_refused_batch_fails_it_until_it_is_sent_again(
    client: Client, warehouse: ClickHouse, spool: Spool
) -> None:
    forbid(client, "frames", f"payload != '{POISON.decode()}'")
    append(spool, [*capture_ladder_payloads()[:60], POISON, *capture_ladder_payloads()[60:140]])
    drained(spool, warehouse)  # the refusal becomes an event, which is loaded too
    drained(spool, warehouse)
    (batch,) = quarantined(spool.folder)
    with dg.DagsterInstance.ephemeral() as instance:
        failed = finalized(instance)
        assert not failed.passed
        assert failed.severity is dg.AssetCheckSeverity.ERROR
        assert failed.description is not None
        assert failed.description.startswith(
            f"{PAPER_USER}: ClickHouse refused 1 batch with 50 frames, set aside on the pod's "
            "machine; the last one for frames (469): Constraint `forbidden` for table "
        )
        told = {name: value.value for name, value in failed.metadata.items()}
        assert (told["batches"], told["frames_quarantined"]) == (1, 50)
        assert (told["trade_date"], "other_dates" in told) == (str(DAY), False)
        row = str(told["refused"]).splitlines()[2]
        assert row.startswith(f"| {PAPER_USER} | {spool.run_id} | 50 | 99 | 50 | frames (469) | ")
        assert "`forbidden`" in row
        assert row.endswith(f" | {batch.folder} |")
        assert batch.folder.is_dir(), "what it names is there"
        assert (
            told[f"command_{PAPER_USER}"] == f"ib-platform spool resend --paper-user {PAPER_USER}"
        )
        assert in_sight(instance)
        # The report of a pod, a minute later.
        instance.report_runless_asset_event(dg.AssetMaterialization("frames"))
        assert not in_sight(instance), "Dagster does not need our help any more: remove it"
        for said in results_said_again(instance):
            instance.report_runless_asset_event(said)
        assert in_sight(instance)
        instance.report_runless_asset_event(dg.AssetMaterialization("frames"))
        assert in_sight(instance)
        assert results_said_again(instance) == []
        allow(client, "frames")
        assert "50 rows sent" in resend()
        passed = finalized(instance)
    assert passed.passed
    assert passed.description is None
    assert passed.metadata["batches"].value == 0
    assert not {"refused", "what_to_do", "other_dates"} & set(passed.metadata)


@pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(days=100)])
def test_a_refusal_that_is_told_late_makes_the_date_due(
    client: Client, warehouse: ClickHouse, spool: Spool, later: timedelta
) -> None:
    """Frames of another topic, all of them refused: nothing else of the date changes."""
    assign(client, [("CL.NYMEX.front", PAPER_USER, 1)], 0)
    append(spool, [*capture_ladder_payloads()[:20]])
    drained(spool, warehouse)

    def due(at: datetime) -> bool:
        return DAY in dates_needing_revision(client, at)

    with dg.DagsterInstance.ephemeral() as instance:
        assert due(EVENING)
        assert finalized(instance).passed
        assert not due(EVENING + later)
        forbid(client, "frames", "topic != 'system'")
        append(spool, [HEARTBEAT] * 5)
        drained(spool, warehouse)
        drained(spool, warehouse)
        assert due(EVENING + later)
        failed = finalized(instance)
        assert not failed.passed
        assert f"| {spool.run_id} | 20 | 24 | 5 |" in str(failed.metadata["refused"].value)
        assert not due(EVENING + later), "one look is enough until something is new"
        allow(client, "frames")
        resend()
        assert due(EVENING + later)
        assert finalized(instance).passed
        assert not due(EVENING + later)


def test_events_alone_may_be_refused(client: Client, warehouse: ClickHouse, spool: Spool) -> None:
    """Then nothing is missing of the frames, but of what explains them."""
    forbid(client, "stream_events", "kind != 'clock_step'")
    append(spool, [*capture_ladder_payloads()[:20]])
    drained(spool, warehouse)
    spool.append_event(StreamEventKind.CLOCK_STEP)
    drained(spool, warehouse)
    drained(spool, warehouse)
    (batch,) = quarantined(spool.folder)
    assert batch.batch.frames == 0
    # An event of our own, hence of now.
    day = str(trade_date_of(batch.batch.first_at))
    job = defs().resolve_implicit_global_asset_job_def()
    chosen = job.get_subset(asset_selection=set(), asset_check_selection={CHECK})
    with dg.DagsterInstance.ephemeral() as instance:
        result = chosen.execute_in_process(instance=instance, tags={PARTITION_TAG: day})
    (found,) = result.get_asset_check_evaluations()
    assert not found.passed
    assert "1 batch with 0 frames" in str(found.description)
    assert "stream_events (469)" in str(found.description)


def waiting(
    day: int, paper_user: str = "alpha", tables: tuple[str, ...] = ("frames", "ladder_frames")
) -> WaitingBatch:
    begin = datetime(2026, 11, day, 18, tzinfo=UTC)
    return WaitingBatch(
        f"r-{day}-{paper_user}", paper_user, "r", begin, begin + timedelta(seconds=1), begin,
        tables, (None, 53)[: len(tables)], "a | in\nthe reason", 2, 0, 1, "/q",
    )  # fmt: skip


def test_batches_of_other_dates_are_named_and_do_not_fail_it() -> None:
    batches = [waiting(18), waiting(17), waiting(17, "beta"), waiting(19)]
    result = refusals_result(batches, date(2026, 11, 20))
    assert result.passed
    assert result.metadata["other_dates"].value == ("2026-11-17: 2, 2026-11-18: 1, 2026-11-19: 1")


def test_each_paper_user_has_its_command_once() -> None:
    batches = [waiting(18), waiting(18, "beta"), waiting(18)]
    result = refusals_result(batches, date(2026, 11, 18))
    assert not result.passed
    commands = [value.value for name, value in result.metadata.items() if "command_" in name]
    assert commands == [
        "ib-platform spool resend --paper-user alpha",
        "ib-platform spool resend --paper-user beta",
    ]
    assert result.description is not None
    alpha, beta = result.description.split("; beta: ")
    assert alpha.startswith("alpha: ClickHouse refused 2 batches with 4 frames, ")
    assert beta.startswith("ClickHouse refused 1 batch with 2 frames, ")
    row = str(result.metadata["refused"].value).splitlines()[2]
    assert "| frames (does not fit the types), ladder_frames (53) | a \\| in the reason |" in row


@pytest.mark.parametrize(
    ("tables", "counts", "words"),
    [
        (("frames", "ladder_frames"), (2, 0), "with 2 frames, "),
        (("ladder_frames",), (0, 2), "with 0 frames and decoded rows of 2 that are stored, "),
        (("quote_frames",), (0, 2), "with 0 frames and decoded rows of 2 that are stored, "),
        (("stream_events",), (0, 0), "with 0 frames, "),
    ],
)
def test_only_what_the_table_frames_refused_counts_as_missing(
    tables: tuple[str, ...], counts: tuple[int, int], words: str
) -> None:
    result = refusals_result([waiting(18, tables=tables)], date(2026, 11, 18))
    told = {name: value.value for name, value in result.metadata.items()}
    assert (told["frames_quarantined"], told["frames_without_decoded_rows"]) == counts
    assert str(result.description).startswith(f"alpha: ClickHouse refused 1 batch {words}set aside")


def test_ladders_without_decoded_rows(client: Client, warehouse: ClickHouse, spool: Spool) -> None:
    """Through the real engine: the frames themselves are stored."""
    forbid(client, "ladder_frames", "seq != 7")
    append(spool, [*capture_ladder_payloads()[:20]])
    drained(spool, warehouse)
    drained(spool, warehouse)
    with dg.DagsterInstance.ephemeral() as instance:
        failed = finalized(instance)
    assert not failed.passed
    assert failed.metadata["frames_quarantined"].value == 0
    assert failed.metadata["frames_without_decoded_rows"].value == 20
    assert stored_seqs(warehouse, spool.run_id) == list(range(20))
