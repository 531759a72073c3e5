"""Brings together what the judge is shown: the simulator's record, and what ClickHouse has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import google_crc32c

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.marketdata.frames import LADDER, QUOTE
from ib_platform.simulator.sent_log import read_sent_log
from ib_platform.verify.app import verify_span
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import Client
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform_tests.faults.chaos.evidence import (
    Event,
    Evidence,
    Finding,
    FrameId,
    Gap,
    Injected,
    Stored,
    Suspect,
)
from ib_platform_tests.faults.chaos.world import World

_KEYS = {
    "frames": "paper_user, run_id, seq",
    "ladder_frames": "conid, run_id, seq, decoder_version",
    "quote_frames": "conid, run_id, seq, decoder_version",
    "stream_events": "paper_user, run_id, event_no",
}
_UNDECODED = """
SELECT DISTINCT run_id, seq FROM frames
WHERE topic = {topic:String} AND conid IS NOT NULL AND decode_error IS NULL
  AND (conid, run_id, seq) NOT IN (SELECT conid, run_id, seq FROM {table:Identifier})
"""
_DECODED = {LADDER: "ladder_frames", QUOTE: "quote_frames"}


def gather(world: World, faults: Sequence[Injected], asked_to_stop: int) -> Evidence:
    """After the last streamer has ended. Builds the trade dates as if they were over."""
    with closing(world.clickhouse.connect(database=world.warehouse.database)) as client:
        days = client.query("SELECT DISTINCT trade_date FROM frames ORDER BY trade_date")
        dates = [date_of(day) for (day,) in days.result_rows]
        for day in dates:
            _finalize(client, world, day)
        return Evidence(
            sent=list(read_sent_log(world.sent_log)),
            stored=list(_stored(client)),
            gaps=[Gap(*row) for row in _rows(client, "conid", "gaps")],
            suspects=[Suspect(*row) for row in _rows(client, "conid, run_id", "suspect_windows")],
            events=list(_events(client)),
            faults=sorted(faults, key=lambda fault: fault.begin),
            asked_to_stop=asked_to_stop,
            kept=frozenset(world.kept),
            cut=frozenset(world.cut),
            doubled={table: _doubled(client, table, key) for table, key in _KEYS.items()},
            undecoded=frozenset(_undecoded(client)),
            tracebacks=tuple(_tracebacks(world)),
            exits=tuple(world.streamer.exits),
            findings=tuple(verified(world.config, world.warehouse, dates)),
        )


def _finalize(client: Client, world: World, day: date) -> None:
    over = trade_date_span(day)[1] + timedelta(seconds=1)
    finalize(client, world.config, day, now=over)


def _stored(client: Client) -> Iterator[Stored]:
    runs = client.query("SELECT DISTINCT run_id FROM frames").result_rows
    for (run_id,) in runs:
        answer = client.query(
            "SELECT run_id, seq, connection, toUnixTimestamp64Nano(received_at), monotonic_ns, "
            "topic, conid, payload FROM frames WHERE run_id = {run:String} ORDER BY seq",
            {"run": run_id},
            column_formats={"payload": "bytes"},
        )
        for *head, payload in answer.result_rows:
            yield Stored(*head, len(payload), google_crc32c.value(payload))


def _rows(client: Client, names: str, table: str) -> Sequence[Sequence[object]]:
    answer = client.query(
        f"SELECT {names}, toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause "
        f"FROM {table} ORDER BY begin"
    )
    return list(answer.result_rows)


def _events(client: Client) -> Iterator[Event]:
    answer = client.query(
        "SELECT run_id, kind, cause, toUnixTimestamp64Nano(at), detail FROM stream_events FINAL "
        "ORDER BY run_id, event_no"
    )
    for *head, detail in answer.result_rows:
        yield Event(*head, json.loads(detail))


def _doubled(client: Client, table: str, key: str) -> int:
    counted = client.query(f"SELECT count() - uniqExact(tuple({key})) FROM {table}")
    return int(counted.result_rows[0][0])


def _undecoded(client: Client) -> Iterator[FrameId]:
    for topic, table in _DECODED.items():
        answer = client.query(_UNDECODED, {"topic": topic, "table": table})
        yield from ((run_id, seq) for run_id, seq in answer.result_rows)


def verified(
    config: PlatformConfig, warehouse: ClickHouse, days: Sequence[date]
) -> Iterator[Finding]:
    """What ``ib-platform verify`` finds in these trade dates, past the proxy. The spool is read
    too, so its disk has to be there still."""
    if not days:
        return
    begin, end = trade_date_span(days[0])[0], trade_date_span(days[-1])[1]
    direct = config.model_copy(update={"clickhouse": warehouse})
    for found in verify_span(direct, Span(to_ns(begin), to_ns(end))).findings:
        yield Finding(
            found.run_id, found.kind.value, found.standing.value, found.frames, found.text
        )


def _tracebacks(world: World) -> Iterator[str]:
    logs: list[Path] = [world.streamer.log, world.at_ibkr.log, world.clickhouse.log]
    for log in logs:
        lines = log.read_text(errors="replace").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("Traceback"):
                end = next(
                    (at for at in range(number + 1, len(lines)) if not lines[at].startswith(" ")),
                    number,
                )
                yield f"{log.name}:{number + 1}: {lines[min(end, len(lines) - 1)]}"
