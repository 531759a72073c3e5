"""What events say about runs, whatever their detail holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.verify.account import Damage, Lost, RunEnd, accounts_of
from ib_platform_tests.support import PATIENT


def event(
    kind: str,
    run_id: str = "r",
    *,
    at: int = 1,
    cause: str | None = None,
    after_seq: int = 0,
    text: str | None = None,
    **detail: Any,
) -> dict[str, Any]:
    return {
        "at": at,
        "paper_user": "alpha",
        "run_id": run_id,
        "kind": kind,
        "cause": cause,
        "after_seq": after_seq,
        "detail": json.dumps(detail) if text is None else text,
    }


def test_a_run_that_stopped() -> None:
    stopped = event(StreamEventKind.RUN_STOPPED, at=9, after_seq=5, received=7, spooled=5, lost=2)
    started = event(StreamEventKind.RUN_STARTED, at=3)
    run = accounts_of([started, stopped])["r"]
    assert (run.paper_user, run.started_at) == ("alpha", 3)
    assert run.end == RunEnd(9, True, 5, 7, 5, 2)


def test_a_run_that_died_is_told_of_by_another() -> None:
    detail = {"run_id": "dead", "frames": 8, "next_seq": 9, "torn_bytes": 11}
    recovered = event(StreamEventKind.RUN_RECOVERED, at=4, text=json.dumps(detail))
    runs = accounts_of([recovered])
    assert runs["dead"].end == RunEnd(4, False, 9, torn_bytes=11)
    assert runs["r"].end is None


def test_a_goodbye_counts_more_than_a_recovery() -> None:
    stopped = event(StreamEventKind.RUN_STOPPED, "dead", after_seq=3)
    text = json.dumps({"run_id": "dead", "next_seq": 5})
    recovered = event(StreamEventKind.RUN_RECOVERED, "r2", text=text)
    for order in ([stopped, recovered], [recovered, stopped]):
        end = accounts_of(order)["dead"].end
        assert end is not None
        assert end.stopped


def test_losses_and_damage() -> None:
    lost = event(StreamEventKind.FRAMES_LOST, at=2, cause="disk_full", lost_frames=4)
    place = json.dumps({"run_id": "r", "next_seq": 4, "found_seq": 6})
    damage = event(StreamEventKind.SPOOL_TORN, "r2", at=5, cause=Cause.SPOOL_DAMAGED, text=place)
    torn = json.dumps({"run_id": "r", "torn_bytes": 11})
    tail = event(StreamEventKind.SPOOL_TORN, "r2", cause=Cause.STREAMER_DIED, text=torn)
    run = accounts_of([lost, damage, tail])["r"]
    assert run.losses == [Lost(2, 4, "disk_full")]
    assert run.damages == [Damage(5, 4, 6)]


@PATIENT
@given(
    st.sampled_from([*StreamEventKind]),
    st.one_of(
        st.text(),
        st.dictionaries(
            st.sampled_from(
                ["run_id", "received", "spooled", "lost", "next_seq", "found_seq", "lost_frames"]
            ),
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers())),
        ).map(json.dumps),
    ),
)
def test_no_detail_can_break_it(kind: StreamEventKind, text: str) -> None:
    run = accounts_of([event(kind, cause="spool_damaged", text=text)])["r"]
    for loss in run.losses:
        assert loss.frames is None or loss.frames >= 0
    if run.end is not None:
        assert run.end.received is None or run.end.received >= 0
