"""Decoding runs again from their frames, comparing with what is stored, and storing it.

A run is decoded from its first frame, whatever the dates: what a frame does to a ladder depends on
all frames before it. Rows are only ever inserted, under the decoder's version and tokens of their
own; the tables keep the newer version of a frame. So nothing that arrives meanwhile can be lost,
and a run of this that was killed is repeated: what is stored already is not outdated any more.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from ib_platform.config import PlatformConfig
from ib_platform.redecode.compare import Difference, Place, Row, compare, outdated
from ib_platform.redecode.record import (
    LAST,
    RecordedRun,
    RunReader,
    first_date,
    plain,
    read_runs,
)
from ib_platform.streamer.arrow import COLUMNS, to_arrow
from ib_platform.streamer.decode import LADDER_FRAMES, QUOTE_FRAMES, RunDecoder
from ib_platform.warehouse.connect import connect, warehouse_errors
from ib_platform.warehouse.dropped import dropped_tables

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BLOCK = 20_000
"""Frames at once: some 50 MB as Python objects."""
TABLES = (LADDER_FRAMES, QUOTE_FRAMES)
_SOURCES = {"frames", *TABLES}


@dataclass
class Redecoded:
    """One run. ``kept_because``: why it was not decoded; None: it was. ``inserted``: rows."""

    run: RecordedRun
    kept_because: str | None = None
    differences: dict[Place, Difference] = field(default_factory=lambda: defaultdict(Difference))
    outdated: int = 0
    inserted: int = 0


def redecode(
    config: PlatformConfig, first: date, last: date, *, apply: bool, block: int = BLOCK
) -> Iterator[Redecoded]:
    """Decode the frames of the trade dates ``first`` to ``last``, both included, again; answers
    each run once it is done. Changes nothing unless ``apply``: then what is not stored, or stored
    by an older decoder, is inserted.

    Raises WarehouseError.
    """
    with (
        closing(connect(config.clickhouse, role="redecode")) as client,
        warehouse_errors(config.clickhouse, "decode the record again"),
    ):
        dropped = sorted(day for day, tables in dropped_tables(client).items() if tables & _SOURCES)
        for run in read_runs(client, first, last):
            begun = first_date(client, run)
            missing = [day for day in dropped if begun <= day <= last]
            if missing:
                why = f"it began on {begun}, and retention has dropped the record of {missing[0]}"
                yield Redecoded(run, why)
            else:
                yield _redecode_run(client, run, first, last, apply, block)


def _redecode_run(
    client: Client, run: RecordedRun, first: date, last: date, apply: bool, block: int
) -> Redecoded:
    done = Redecoded(run)
    reader, decoder = RunReader(client, run), RunDecoder(run.paper_user, run.run_id)
    for from_seq in range(0, run.last_seq + 1, block):
        to_seq = from_seq + block - 1
        # A row may be stored of which the frame is not: the last block looks for all of them.
        stored_to = LAST if to_seq >= run.last_seq else to_seq
        # Before the frames: what arrives in between is made again, and not missed.
        stored = {
            table: reader.decoded(table, from_seq, stored_to, first, last) for table in TABLES
        }
        made = decoder.decode(reader.records(from_seq, min(to_seq, run.last_seq)))
        for table in TABLES:
            rows = [plain(row) for row in made[table] if first <= row[0] <= last]
            _take(client, done, table, stored[table], rows, apply)
    return done


def _take(
    client: Client, done: Redecoded, table: str, stored: list[Row], rows: list[Row], apply: bool
) -> None:
    columns = [name for name, _ in COLUMNS[table]]
    for place, found in compare(table, columns, stored, rows).items():
        done.differences[place].add(found)
    wanted = outdated(columns, stored, rows)
    done.outdated += len(wanted)
    if not apply:
        return
    for day, of_date in groupby(sorted(wanted, key=lambda row: row[0]), key=lambda row: row[0]):
        _insert(client, done.run, table, day, list(of_date))
    done.inserted += len(wanted)


def _insert(client: Client, run: RecordedRun, table: str, day: date, rows: list[Row]) -> None:
    """One partition, hence all or nothing. One token, one content: the rows are part of it."""
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:32]
    settings = {
        "insert_deduplication_token": f"redecoded/{run.run_id}/{table}/{day}/{digest}",
        "insert_deduplicate": 1,
        "async_insert": 0,
        "wait_end_of_query": 1,
    }
    client.insert_arrow(table, to_arrow(table, rows), settings=settings)
