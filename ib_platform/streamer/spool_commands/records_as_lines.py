"""``ib-platform spool cat``: records as JSON lines."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.kept import KEPT_FOLDER
from ib_platform.streamer.quarantine import QUARANTINE_FOLDER, RECORDS_NAME
from ib_platform.streamer.records import (
    RECORD_HEADER_BYTES,
    Record,
    RecordKind,
    StreamEvent,
    decode_event,
)
from ib_platform.streamer.segments import list_segments, size_of
from ib_platform.streamer.spool_commands.contents import stretches
from ib_platform.streamer.spool_commands.words import iso_ns


@dataclass(frozen=True, slots=True)
class Source:
    """A file with records, and the name that it was found under."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Chosen:
    """``first_seq``, ``last_seq``: frames of these numbers, and the events in between; None: no
    border. ``payloads``: print them too."""

    first_seq: int | None = None
    last_seq: int | None = None
    payloads: bool = False

    def takes(self, seq: int) -> bool:
        """Whether a frame of this number, or an event at it, is wanted."""
        after = self.first_seq is None or seq >= self.first_seq
        return after and (self.last_seq is None or seq <= self.last_seq)


def sources(folder: Path, name: str) -> list[Source]:
    """The files that ``name`` means, in their order: a segment, a batch in the quarantine, or a
    run: what is kept or waits of it, or else its batches in the quarantine."""
    name = name.removesuffix(".spool")
    segments = [
        segment
        for place in (folder / KEPT_FOLDER, folder)
        if place.is_dir()
        for segment in list_segments(place)
        if name in (segment.run_id, segment.path.stem)
    ]
    if segments:
        in_order = sorted(segments, key=lambda segment: segment.number)
        return [Source(segment.path.stem, segment.path) for segment in in_order]
    batches = sorted((folder / QUARANTINE_FOLDER).glob("[!.]*/"))
    return [
        Source(batch.name, batch / RECORDS_NAME)
        for batch in batches
        if batch.name == name or batch.name.startswith(f"{name}.")
    ]


def lines_of(source: Source, paper_user: str, chosen: Chosen) -> Iterator[bytes]:
    """One line a record, and one for each stretch of bytes that is none. Raises SpoolError."""
    try:
        for stretch in stretches(source.path, paper_user, 0, size_of(source.path)):
            if stretch.skipped and stretch.records:
                yield _line(
                    {
                        "segment": source.name,
                        "offset": stretch.begin,
                        "damaged_bytes": stretch.skipped,
                    }
                )
            yield from _records(source, stretch.begin, stretch.records, chosen)
    except SpoolError:
        # Loaded and freed while it was printed: what was asked for has gone.
        if source.path.exists():
            raise


def _records(source: Source, base: int, records: list[Record], chosen: Chosen) -> Iterator[bytes]:
    for record in records:
        event = _event(record)
        seq = event.after_seq if isinstance(event, StreamEvent) else record.number
        if chosen.takes(seq):
            offset = base + record.end - RECORD_HEADER_BYTES - len(record.payload)
            yield _line(_fields(source, offset, record, event, chosen.payloads))


def _event(record: Record) -> StreamEvent | str | None:
    """The event, why it cannot be read, or None: a frame."""
    if record.kind is not RecordKind.EVENT:
        return None
    try:
        return decode_event(record.payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return str(error)


def _fields(
    source: Source, offset: int, record: Record, event: StreamEvent | str | None, payloads: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "segment": source.name,
        "offset": offset,
        "kind": record.kind.name.lower(),
        "number": record.number,
        "at": iso_ns(record.received_ns),
        "received_ns": record.received_ns,
        "monotonic_ns": record.monotonic_ns,
        "connection": record.connection,
        "bytes": len(record.payload),
    }
    if isinstance(event, StreamEvent):
        fields["event"] = event
    elif event is not None:
        fields["unreadable_event"] = event
    if payloads:
        try:
            fields["payload"] = record.payload.decode("utf-8")
        except UnicodeDecodeError:
            fields["payload_base64"] = base64.b64encode(record.payload).decode("ascii")
    return fields


def _line(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields) + b"\n"
