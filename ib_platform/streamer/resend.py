"""Sends again what ClickHouse lacks of the spool: the quarantine, and what it has acknowledged.

It asks first which rows are there and sends the others, so that nothing is stored twice, whatever
the server remembers of deduplication tokens. May run beside the streamer: it changes no segment.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import google_crc32c
import msgspec

from ib_platform.config import ClickHouse
from ib_platform.errors import SpoolError, WarehouseError
from ib_platform.states import StreamEventKind
from ib_platform.streamer.arrow import to_arrow
from ib_platform.streamer.asking import missing_rows
from ib_platform.streamer.batches import load_manifest
from ib_platform.streamer.decode import STREAM_EVENTS, Row, RunDecoder, trade_date_of_ns
from ib_platform.streamer.kept import KeptSegments
from ib_platform.streamer.quarantine import RefusedBatch
from ib_platform.streamer.quarantined import quarantined
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import SegmentFile, list_segments, read_records, size_of
from ib_platform.warehouse.connect import (
    Client,
    is_refusal,
    warehouse_errors,
    words_of_server,
)

logger = logging.getLogger(__name__)
RECORDS_AT_ONCE = 5_000
_EVENT_NO_OF_RESENDING = 2**62
"""Far above any event of a run: the event that a batch was sent again is no event of its spool."""


@dataclass
class Resent:
    """What became of one batch or segment. Rows by table: ``there`` before, and ``sent`` now.
    ``refused``: why ClickHouse still refuses its content, None where it does not."""

    name: str
    there: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    refused: str | None = None

    def add(self, table: str, there: int, sent: int) -> None:
        self.there[table] = self.there.get(table, 0) + there
        self.sent[table] = self.sent.get(table, 0) + sent


class Resender:
    """``dry_run``: only say what would be sent."""

    def __init__(self, client: Client, settings: ClickHouse, *, dry_run: bool = False) -> None:
        self._client = client
        self._settings = settings
        self._dry_run = dry_run

    def quarantine(self, spool_folder: Path, now: datetime) -> Iterator[Resent]:
        """Every batch of the quarantine, oldest run first; what is stored leaves it. One that is
        still refused stays, and the others are sent none the less.

        ``now``: an aware instant.

        Raises:
            SpoolError: a batch cannot be read or removed.
            WarehouseError: ClickHouse does not take it for another reason than its content.
        """
        for batch in quarantined(spool_folder):
            resent = Resent(batch.batch.name)
            try:
                self._send(batch.records(), batch.batch.decoder.copy(), resent)
                if not self._dry_run:
                    self._say_so(batch.batch, now)
            except WarehouseError as error:
                if not is_refusal(error):
                    raise
                resent.refused = words_of_server(error)
            else:
                if not self._dry_run:
                    batch.remove()
            yield resent

    def acknowledged(self, spool_folder: Path, paper_user: str) -> Iterator[Resent]:
        """Everything that ClickHouse has acknowledged and that is still here: kept segments, and
        what the manifest says of those in the spool. For a server that has lost its last seconds.

        Raises:
            SpoolError: a segment or its decoder's state cannot be read.
            WarehouseError: ClickHouse does not take it.
        """
        kept = KeptSegments(spool_folder, keep_for=1)
        for segment, end in _acknowledged(kept, spool_folder, paper_user):
            resent = Resent(segment.path.name)
            decoder = kept.state_of(segment, paper_user)
            for records in _pieces(segment.path, end, paper_user):
                self._send(records, decoder, resent)
            yield resent

    def _send(self, records: Sequence[Record], decoder: RunDecoder, resent: Resent) -> None:
        """Decode the next records, which moves ``decoder`` on, and send the rows that lack."""
        for table, rows in decoder.decode(records).items():
            missing = self._missing(table, rows) if rows else []
            if missing and not self._dry_run:
                self._insert(table, missing, resent.name)
            resent.add(table, len(rows) - len(missing), len(missing))

    def _missing(self, table: str, rows: list[Row]) -> list[Row]:
        return missing_rows(self._client, self._settings, table, rows)

    def _insert(self, table: str, rows: list[Row], name: str) -> None:
        arrow = to_arrow(table, rows)
        # A server that has lost the rows may remember their token: it would drop them again.
        settings: dict[str, Any] = {
            "insert_deduplicate": 0,
            "async_insert": 0,
            "wait_end_of_query": 1,
        }
        with warehouse_errors(self._settings, f"insert into {table}"):
            self._client.insert_arrow(table, arrow, settings=settings)
        if lacking := len(self._missing(table, rows)):
            raise WarehouseError(
                f"{lacking} of {len(rows)} rows of {table} ({name}) are still not there after "
                "ClickHouse has taken them. Look at its log, then send again."
            )

    def _say_so(self, batch: RefusedBatch, now: datetime) -> None:
        """An event under the batch's run, at the end of its span: what is read with the batch's
        trade date must not depend on when somebody sent it again."""
        at = round(batch.last_at.timestamp() * 1_000_000) * 1000
        number = _EVENT_NO_OF_RESENDING + google_crc32c.value(batch.name.encode())
        detail = {"batch": batch.name, "run_id": batch.run_id, "resent_at": now.isoformat()}
        row = (
            trade_date_of_ns(at), at, batch.paper_user, batch.run_id, number,
            StreamEventKind.BATCH_RESENT.value, None, None, None,
            0 if batch.last_seq is None else batch.last_seq + 1,
            msgspec.json.encode(detail).decode(),
        )  # fmt: skip
        if self._missing(STREAM_EVENTS, [row]):
            self._insert(STREAM_EVENTS, [row], batch.name)


def _acknowledged(
    kept: KeptSegments, spool_folder: Path, paper_user: str
) -> Iterable[tuple[SegmentFile, int]]:
    """Segments, and up to which offset each is acknowledged, in their order."""
    found = {one.segment: one.bytes for one in kept.list()}
    position = load_manifest(spool_folder, paper_user).position
    if position is not None:
        for segment in list_segments(spool_folder):
            if segment.run_id == position.run_id and segment.number == position.segment:
                found[segment] = position.offset
    return sorted(found.items())


def _pieces(path: Path, end: int, paper_user: str) -> Iterator[list[Record]]:
    if size_of(path) < end:
        raise SpoolError(f"{path}: went away while it was read; send again")
    yield from read_records(path, 0, end, paper_user, RECORDS_AT_ONCE)
