"""Runs that went through a real spool and loader, and damage done to what they left."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.spool import Spool
from ib_platform.verify.spools import compare_spool, stored_rows
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import SECOND, Span
from ib_platform.warehouse.verify.evidence import SpooledRun
from ib_platform.warehouse.verify.findings import Finding, Verification
from ib_platform.warehouse.verify.read import Reader
from ib_platform.warehouse.verify.verify import conclude, verify_warehouse
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    PAPER_USER,
    append,
    loader_of,
    open_spool,
    stop_merges,
)

DAY = Span(BASE_NS - 3600 * SECOND, BASE_NS + 3600 * SECOND)
"""A span that holds all that a run of these tests receives."""


def payloads(count: int) -> list[bytes]:
    return [b"frame %d" % number for number in range(count)]


def begin_run(folder: Path, frames: int, *, segment_bytes: int = 1 << 20) -> Spool:
    """A run that has spooled its frames, half a second apart, and goes on."""
    spool = open_spool(folder, segment_bytes=segment_bytes, clocks=Clocks(wall=lambda: BASE_NS))
    spool.append_event(StreamEventKind.RUN_STARTED)
    append(spool, payloads(frames))
    return spool


def lose(spool: Spool, frames: int, cause: Cause | None = Cause.DISK_FULL) -> None:
    """The event of frames that the spool refused."""
    spool.append_event(StreamEventKind.FRAMES_LOST, cause=cause, detail={"lost_frames": frames})


def stop(spool: Spool, *, lost: int = 0, received: int | None = None) -> None:
    """The last words of a run, as ``streamer.ending`` writes them."""
    spooled = spool.frames_written
    detail = {"received": spooled + lost if received is None else received, "spooled": spooled}
    end = (BASE_NS + spooled * SECOND, 0)
    lost_detail = {"lost": lost} if lost else {}
    spool.append_event(StreamEventKind.RUN_STOPPED, detail=detail | lost_detail, stamps=end)


def load(spool: Spool, settings: ClickHouse) -> str:
    """Load everything, close; returns the run id."""
    assert loader_of(spool, settings).drain()
    spool.close()
    return spool.run_id


def recorded(folder: Path, settings: ClickHouse, frames: int = 20) -> str:
    """A run without any trouble, loaded."""
    spool = begin_run(folder, frames)
    stop(spool)
    return load(spool, settings)


def change(settings: ClickHouse, *statements: str) -> None:
    """Damage to the database. Rows that come twice stay two: merges stop with them, and with the
    merges every later deletion."""
    with closing(connect(settings, role="tests")) as client:
        for statement in statements:
            if statement.startswith("INSERT"):
                stop_merges(settings)
            client.command(statement, settings={"mutations_sync": 1, "insert_deduplicate": 0})


def delete(where: str) -> str:
    return f"ALTER TABLE frames DELETE WHERE {where}"


def again(where: str, columns: str = "*") -> str:
    """Rows a second time; ``columns`` like ``* REPLACE ('x' AS payload)``."""
    return f"INSERT INTO frames SELECT {columns} FROM frames WHERE {where}"


def verify(settings: ClickHouse, span: Span = DAY) -> Verification:
    with closing(connect(settings, role="tests")) as client:
        return verify_warehouse(client, span)


def verify_with_spool(settings: ClickHouse, folder: Path, span: Span = DAY) -> Verification:
    with closing(connect(settings, role="tests")) as client:
        evidence = Reader(client, span).read()
        proof, runs = compare_spool(folder, PAPER_USER, span, stored_rows(client, PAPER_USER))
    spooled: dict[str, tuple[str, SpooledRun]] = {
        run_id: (PAPER_USER, run) for run_id, run in runs.items()
    }
    return conclude(span, evidence, spooled, [proof])


def told(findings: Iterable[Finding]) -> list[tuple[str, str, int | None]]:
    """Kind, standing, frames of findings, sorted."""
    return sorted((f.kind.value, f.standing.value, f.frames) for f in findings)
