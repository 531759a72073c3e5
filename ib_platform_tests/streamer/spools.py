"""What the tests of spool and loader share: a run in a spool, real payloads, what is stored."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer.decode import TABLES
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import list_segments, read_chunk, size_of
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import connect
from ib_platform_tests.streamer.run_process import PATIENCE
from ib_platform_tests.support import wait_until

PAPER_USER = "alpha"
BASE_NS = 1_763_040_000 * 10**9  # 2025-11-13 13:20 UTC, the day of the capture
HEARTBEAT = b'{"topic":"system","hb":1762860446968}'
_runs = itertools.count()


def next_run_id() -> str:
    """Run ids that sort in the order of their making."""
    return f"{PAPER_USER}-20251113T132000{next(_runs) % 1000:03d}Z-0000"


def open_spool(
    folder: Path, run_id: str | None = None, segment_bytes: int = 1 << 20, **options: Any
) -> Spool:
    return Spool.open(
        folder, PAPER_USER, run_id or next_run_id(), segment_bytes=segment_bytes, **options
    )


def append(spool: Spool, payloads: list[bytes]) -> None:
    """Frames half a second apart, on connection 1."""
    for payload in payloads:
        ns = spool.frames_written * 500_000_000
        spool.append_frame(BASE_NS + ns, ns, 1, payload)


def records_of(folder: Path, run_id: str) -> list[Record]:
    """Every complete record of a run."""
    records: list[Record] = []
    for segment in list_segments(folder):
        offset, end = 0, size_of(segment.path)
        while segment.run_id == run_id and offset < end:
            chunk = read_chunk(segment.path, offset, end, PAPER_USER)
            records += chunk.records
            offset = chunk.end
    return records


def query(settings: ClickHouse, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query in the database of ``settings``."""
    client = connect(settings, role="tests")
    try:
        return [tuple(row) for row in client.query(sql).result_rows]
    finally:
        client.close()


def stored_seqs(settings: ClickHouse, run_id: str) -> list[int]:
    """The seq of every stored row of the run, as stored: duplicates show."""
    sql = f"SELECT seq FROM frames WHERE run_id = '{run_id}' ORDER BY seq"
    return [row[0] for row in query(settings, sql)]


SMALL = Limits(load_rows=50, load_every=0.02)


def loader_of(spool: Spool, settings: ClickHouse, limits: Limits = SMALL, **more: Any) -> Loader:
    return Loader(spool, settings, limits, **more)


def events(settings: ClickHouse, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """(run id, detail) of the stored events of a kind, in their order."""
    sql = (
        f"SELECT run_id, detail FROM stream_events WHERE kind = '{kind}' ORDER BY run_id, event_no"
    )
    return [(run_id, msgspec.json.decode(detail)) for run_id, detail in query(settings, sql)]


def died_run(folder: Path, payloads: list[bytes], **options: Any) -> str:
    """A run that ended without a word."""
    spool = open_spool(folder, **options)
    spool.append_event(StreamEventKind.RUN_STARTED)
    append(spool, payloads)
    spool.close()
    return spool.run_id


class RunProcess:
    """``run_process`` as a child: its run id, and after its end the seqs that it acknowledged."""

    def __init__(self, folder: Path, settings: Path | None = None) -> None:
        command = [sys.executable, "-m", "ib_platform_tests.streamer.run_process", str(folder)]
        if settings is not None:
            command.append(str(settings))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        # A killed writer may leave half a line: it does not count as acknowledged.
        for line in self._process.stdout:
            if line.endswith("\n"):
                self._lines.append(line.strip())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def run_id(self) -> str:
        return wait_until(lambda: self._lines and self._lines[0], "the run id")

    @property
    def last_line(self) -> str:
        return self._lines[-1]

    @property
    def acknowledged(self) -> list[int]:
        return [int(line) for line in self._lines[1:] if line.isdigit()]

    def wait_for_frames(self, count: int) -> None:
        def enough() -> bool:
            assert self._process.poll() is None, "the run ended by itself"
            return len(self._lines) > count

        wait_until(enough, f"{count} frames in the spool")

    def end(self, number: int) -> None:
        """Send the signal, wait for the end, read the rest of its output."""
        self._process.send_signal(number)
        self._process.wait(PATIENCE + 120)
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


def stop_merges(settings: ClickHouse) -> None:
    """Merges of the replacing tables would hide rows that arrived twice. Without them there are
    many parts, for which ClickHouse would make each insert wait."""
    client = connect(settings, role="tests")
    for table in TABLES:
        client.command(
            f"ALTER TABLE {settings.database}.{table} MODIFY SETTING "
            "parts_to_delay_insert = 1000000, parts_to_throw_insert = 1000000"
        )
        client.command(f"SYSTEM STOP MERGES {settings.database}.{table}")
    client.close()
