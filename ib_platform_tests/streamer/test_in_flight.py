"""A batch that died on its way and was damaged since: healed from what ClickHouse has of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer.batches import Batch, Part
from ib_platform.streamer.decode import FRAMES, STREAM_EVENTS, TABLES
from ib_platform.streamer.in_flight import damages, is_whole, with_stored
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, encode_event
from ib_platform.streamer.segments import Position, list_segments
from ib_platform.streamer.sender import Sender, Sent
from ib_platform_tests.streamer.spools import (
    died_run,
    events,
    loader_of,
    open_spool,
    query,
    records_of,
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads

FRAMES_OF_RUN = 60


class Killed(BaseException):
    """The process ends here."""


def frame(number: int) -> Record:
    return Record(RecordKind.FRAME, number, number, number, 1, b"{}")


def event(after_seq: int) -> Record:
    told = encode_event(StreamEvent(StreamEventKind.CONNECTED, after_seq=after_seq))
    return Record(RecordKind.EVENT, 0, 0, after_seq, 1, told)


def in_words(records: list[Record]) -> list[int | str]:
    return [r.number if r.kind is RecordKind.FRAME else f"event {r.number}" for r in records]


def batch(frames: int, told: int = 0, offset: int = 100) -> Batch:
    parts = [Part(FRAMES, "f", frames), Part(STREAM_EVENTS, "e", told)]
    return Batch(Position("r", 0, offset), tuple(part for part in parts if part.rows))


@pytest.mark.parametrize(
    ("left", "stored", "merged"),
    [
        ([frame(3), frame(4)], [], [3, 4]),
        ([], [frame(3), frame(4)], [3, 4]),
        ([frame(3), frame(5)], [frame(3), frame(4), frame(5), frame(6)], [3, 4, 5, 6]),
        ([event(3), frame(5)], [frame(3), frame(4)], ["event 3", 3, 4, 5]),
        ([frame(3), event(5), frame(5)], [frame(4)], [3, 4, "event 5", 5]),
        ([frame(3), event(4)], [frame(4)], [3, "event 4", 4]),
    ],
)
def test_stored_frames_take_their_places(
    left: list[Record], stored: list[Record], merged: list[int | str]
) -> None:
    assert in_words(with_stored(left, stored)) == merged


@pytest.mark.parametrize(
    ("found", "whole"),
    [
        (batch(5, 1), True),
        (batch(4, 1), False),
        (batch(5), False),
        (batch(5, 1, offset=90), False),
    ],
)
def test_a_batch_is_whole_with_all_frames_and_events(found: Batch, whole: bool) -> None:
    """Found by a reviewer: an event that was alone of its kind could be lost unsaid."""
    assert is_whole(batch(5, 1), found) == whole


@pytest.mark.parametrize(
    ("records", "cut", "told"),
    [
        ([frame(7), frame(8), event(9)], 0, []),
        ([frame(7), event(9)], 0, [{"next_seq": 8, "found_seq": None, "in_flight_bytes": 0}]),
        (
            [frame(8), event(9)],
            0,
            [
                {"next_seq": 7, "found_seq": 8},
                {"next_seq": 9, "found_seq": None, "in_flight_bytes": 0},
            ],
        ),
        ([frame(7), frame(8)], 0, [{"next_seq": 9, "found_seq": 9, "lost_events": 1}]),
        (
            [],
            40,
            [
                {"next_seq": 7, "found_seq": None, "in_flight_bytes": 40},
                {"next_seq": 7, "found_seq": 7, "lost_events": 1},
            ],
        ),
    ],
)
def test_what_is_missing_is_told_by_its_numbers(
    records: list[Record], cut: int, told: list[dict[str, int | None]]
) -> None:
    assert list(damages(7, batch(2, 1), records, cut)) == told


def died_on_the_way(
    folder: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, sent: tuple[str, ...]
) -> str:
    """A run that died with its only batch on the way, of which the tables ``sent`` have theirs."""
    run_id = died_run(folder, list(capture_ladder_payloads()[:FRAMES_OF_RUN]))
    spool = open_spool(folder)
    send = Sender.send

    def until(self: Sender, part: Part, *more: object, **named: object) -> Sent:
        if part.table not in sent:
            raise Killed
        return send(self, part, *more, **named)  # type: ignore[arg-type, return-value]

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", until)
        with pytest.raises(Killed):
            loader_of(spool, warehouse, Limits()).drain(60)
    spool.close()
    return run_id


def damage(folder: Path, run_id: str, *numbers: int, events_too: bool = False) -> None:
    """Turn a byte in the records of these frames, and in every event."""
    path = list_segments(folder)[0].path
    content = bytearray(path.read_bytes())
    for record in records_of(folder, run_id):
        if record.number in numbers if record.kind is RecordKind.FRAME else events_too:
            at = content.index(record.payload)
            content[at + len(record.payload) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def load_all(folder: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(folder)
    assert loader_of(spool, warehouse, Limits()).drain(60)
    spool.append_event(StreamEventKind.RUN_STOPPED)
    assert loader_of(spool, warehouse, Limits()).drain(60)
    spool.close()


LADDERS = (
    "SELECT seq, epoch, window, role, sizes FROM ladder_frames WHERE run_id = '{}' ORDER BY seq"
)


@pytest.mark.parametrize("sent", [TABLES[:1], TABLES[:2], TABLES[:3]], ids=" ".join)
def test_frames_that_are_stored_heal_the_whole_batch(
    tmp_path: Path,
    warehouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    sent: tuple[str, ...],
) -> None:
    """Found by a reviewer: decoded again without its damaged records, a batch gave its windows the
    numbers of others, and their books were joined."""
    stop_merges(warehouse)
    whole = died_run(tmp_path / "whole", list(capture_ladder_payloads()[:FRAMES_OF_RUN]))
    load_all(tmp_path / "whole", warehouse)
    run_id = died_on_the_way(tmp_path / "damaged", warehouse, monkeypatch, sent)
    damage(tmp_path / "damaged", run_id, 0, 20, 21)
    load_all(tmp_path / "damaged", warehouse)
    assert stored_seqs(warehouse, run_id) == list(range(FRAMES_OF_RUN))
    ladders = query(warehouse, LADDERS.format(run_id))
    assert ladders == query(warehouse, LADDERS.format(whole))
    assert len(ladders) > FRAMES_OF_RUN // 2
    assert events(warehouse, "spool_torn") == [], "nothing is missing"


def test_what_was_not_sent_is_lost_and_told(
    tmp_path: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = died_on_the_way(tmp_path, warehouse, monkeypatch, ())
    damage(tmp_path, run_id, 20, 21, events_too=True)
    load_all(tmp_path, warehouse)
    left = [number for number in range(FRAMES_OF_RUN) if number not in (20, 21)]
    assert stored_seqs(warehouse, run_id) == left
    told = [(d["next_seq"], d["found_seq"]) for _, d in events(warehouse, "spool_torn")]
    assert (20, 22) in told
    assert any(detail.get("lost_events") == 1 for _, detail in events(warehouse, "spool_torn"))
