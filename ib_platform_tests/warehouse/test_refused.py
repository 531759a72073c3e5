"""Which batches wait in a quarantine, whatever the details of their events hold."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import StreamEventKind
from ib_platform.warehouse.refused import WaitingBatch, waiting_batches
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import PATIENT

REFUSED_AT = datetime(2026, 11, 20, 3, tzinfo=UTC)
DETAIL: dict[str, Any] = {
    "run_id": "died",
    "batch": "died.000000.100-900",
    "tables": ["frames", "quote_frames"],
    "codes": [469, None],
    "error": "Constraint `forbidden` is violated",
    "frames": 3,
    "first_seq": 7,
    "last_seq": 9,
    "begin": "2026-11-18T18:00:00+00:00",
    "end": "2026-11-18T18:00:05+00:00",
    "folder": "/spool/alpha/quarantine/died.000000.100-900",
}


def event(
    kind: StreamEventKind = StreamEventKind.BATCH_REFUSED,
    text: str | None = None,
    **detail: Any,
) -> dict[str, Any]:
    """Told by a run that came after the one that died."""
    return {
        "at": to_ns(REFUSED_AT),
        "paper_user": "alpha",
        "run_id": "later",
        "kind": kind.value,
        "detail": json.dumps({**DETAIL, **detail}) if text is None else text,
    }


def resent(batch: str) -> dict[str, Any]:
    detail = {"batch": batch, "run_id": "died", "resent_at": "2026-11-20T04:00:00+00:00"}
    return event(StreamEventKind.BATCH_RESENT, json.dumps(detail))


def test_a_batch_is_told_of_whole() -> None:
    (batch,) = waiting_batches([event()])
    assert batch == WaitingBatch(
        name="died.000000.100-900",
        paper_user="alpha",
        run_id="died",
        begin=datetime(2026, 11, 18, 18, tzinfo=UTC),
        end=datetime(2026, 11, 18, 18, 0, 5, tzinfo=UTC),
        refused_at=REFUSED_AT,
        tables=("frames", "quote_frames"),
        codes=(469, None),
        error="Constraint `forbidden` is violated",
        frames=3,
        first_seq=7,
        last_seq=9,
        folder="/spool/alpha/quarantine/died.000000.100-900",
    )
    assert batch.trade_dates == (date(2026, 11, 18),), "of its frames, not of the day it was told"


@pytest.mark.parametrize("order", [1, -1])
def test_what_was_sent_again_waits_no_longer(order: int) -> None:
    events = [event(), event(batch="other"), resent("died.000000.100-900")]
    assert [batch.name for batch in waiting_batches(events[::order])] == ["other"]


def test_a_crash_tells_it_twice() -> None:
    again = {**event(), "at": to_ns(REFUSED_AT) + 1_000_000_000}
    (batch,) = waiting_batches([event(), again])
    assert batch.refused_at == REFUSED_AT


@pytest.mark.parametrize(
    ("begin", "end", "dates"),
    [
        # The border is 16:30 in Chicago, 22:30 UTC.
        ("2026-11-18T22:29:59+00:00", "2026-11-18T22:30:00+00:00", [18]),
        ("2026-11-18T22:29:59+00:00", "2026-11-18T22:30:00.000001+00:00", [18, 19]),
        ("2026-11-18T16:30:00-06:00", "2026-11-18T16:30:01-06:00", [19]),
        # From Friday over the weekend.
        ("2026-11-20T20:00:00+00:00", "2026-11-21T10:00:00+00:00", [20, 23]),
        # A clock that stepped back.
        ("2026-11-18T18:00:05+00:00", "2026-11-18T18:00:00+00:00", [18]),
        # Another version's words: then the day on which it was told, the border behind it.
        (None, "soon", [20]),
        (7, [], [20]),
    ],
)
def test_the_trade_dates_that_it_touches(begin: Any, end: Any, dates: list[int]) -> None:
    (batch,) = waiting_batches([event(begin=begin, end=end)])
    assert [day.day for day in batch.trade_dates] == dates


def test_an_older_version_told_no_folder() -> None:
    (batch,) = waiting_batches([event(folder=None, run_id=None, codes=[469])])
    assert batch.folder == "quarantine/died.000000.100-900"
    assert (batch.run_id, batch.codes) == ("later", (469, None))


@PATIENT
@given(
    st.one_of(
        st.text(),
        st.dictionaries(
            st.sampled_from(sorted(DETAIL)),
            st.one_of(
                st.none(),
                st.integers(),
                st.text(),
                st.lists(st.one_of(st.none(), st.integers(), st.text())),
                st.sampled_from(sorted(map(str, DETAIL.values()))),
            ),
        ).map(json.dumps),
    )
)
def test_nothing_in_a_detail_breaks_it(text: str) -> None:
    for batch in waiting_batches([event(text=text), event(StreamEventKind.BATCH_RESENT, text)]):
        raise AssertionError(f"{batch.name} was sent again in the same words")
    for batch in waiting_batches([event(text=text)]):
        assert len(batch.tables) == len(batch.codes)
        assert batch.trade_dates
