"""Which refused batches are losses of ladders."""

from __future__ import annotations

import json

import pytest

from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.evidence import Loss
from ib_platform.warehouse.losses import _hole, _quarantined

SPAN = {"begin": "1970-01-01T00:00:01+00:00", "end": "1970-01-01T00:00:02+00:00"}


@pytest.mark.parametrize(
    ("tables", "is_lost"),
    [
        (["frames"], True),
        (["ladder_frames", "quote_frames"], True),
        (["quote_frames"], False),
        (["stream_events"], False),
        (["stream_events", "quote_frames"], False),
        (None, True),
    ],
)
def test_ladders_lack_what_their_tables_refused(tables: list[str] | None, is_lost: bool) -> None:
    told = {"batch": "r.0.0-9", "run_id": "r", "first_seq": 3, "last_seq": 5, **SPAN}
    detail = json.dumps(told if tables is None else {**told, "tables": tables})
    refused = {"kind": StreamEventKind.BATCH_REFUSED, "detail": detail, "at": 0}
    second = 1_000_000_000
    loss = Loss("r", second, 2 * second, Cause.QUARANTINED, (2, 6))
    assert _quarantined([refused]) == [loss] * is_lost
    resent = {**refused, "kind": StreamEventKind.BATCH_RESENT}
    assert _quarantined([refused, resent]) == []


@pytest.mark.parametrize(
    ("end", "spans"),
    [
        (15, [(10, 15)]),
        # Frames of which the first was stamped late.
        (14, [(10, 15), (9, 14)]),
        # Set ahead by a minute meanwhile: what the clock skipped is no loss.
        (75, [(10, 15), (70, 75)]),
        # Set ahead by less than the hole is long.
        (18, [(10, 15), (13, 18)]),
        # Set back.
        (2, [(10, 15), (-3, 2)]),
    ],
)
def test_a_hole_is_as_long_as_it_lasted(end: int, spans: list[tuple[int, int]]) -> None:
    second = 1_000_000_000
    row = {
        "run_id": "r",
        "previous_seq": 7,
        "seq": 9,
        "begin": 10 * second,
        "end": end * second,
        "elapsed": 5 * second,
    }
    found = [(loss.begin // second, loss.end // second) for loss in _hole(row, [])]
    assert found == spans
    set_back = [(7, 7), (7, 9)]
    wanted = [(7, 9)] * len(spans) if end >= 15 else set_back
    assert [loss.between for loss in _hole(row, [])] == wanted, "by the clock before, in its pass"
