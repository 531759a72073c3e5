"""A Recorder out of what is stored: the record read back and decoded anew, for the twins."""

from __future__ import annotations

import json
from typing import Any

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import decode_ladder
from ib_platform.marketdata.quotes import Quote, decode_quote
from ib_platform.states import StreamEventKind
from ib_platform_tests.warehouse.recording import Recorder

_FRAMES = """
SELECT seq, toUnixTimestamp64Nano(received_at), topic, conid, payload
FROM frames WHERE run_id = {run_id:String} ORDER BY seq
"""
_EVENTS = """
SELECT after_seq, toUnixTimestamp64Nano(at), kind, cause, conid, detail
FROM stream_events WHERE run_id = {run_id:String} ORDER BY event_no
"""


def rerecord(client: Any, run_id: str, paper_user: str) -> Recorder:
    """The run as its stored payloads say, in the order of seq; asserts that seq has no hole."""
    recorder = Recorder(run_id, paper_user)
    events = client.query(_EVENTS, {"run_id": run_id}).result_rows
    formats = {"payload": "bytes"}
    frames = client.query(_FRAMES, {"run_id": run_id}, column_formats=formats).result_rows
    for expected, (seq, at, topic, conid, payload) in enumerate(frames):
        assert seq == expected
        while events and events[0][0] <= seq:
            _replay(recorder, events.pop(0))
        if topic == "smd" and isinstance(quote := decode_quote(payload), Quote):
            recorder.quote(
                at, conid, updated=None, volume=quote.volume, availability=quote.availability
            )
            continue
        if topic != "sbd":
            recorder.other(at, topic)
            continue
        rows = decode_ladder(payload)
        if isinstance(rows, Undecodable):
            recorder.broken(at, conid)
        else:
            recorder.ladder(at, conid, rows)
    for event in events:
        _replay(recorder, event)
    return recorder


def _replay(recorder: Recorder, event: tuple[Any, ...]) -> None:
    _, at, kind, cause, conid, detail = event
    recorder.event(at, StreamEventKind(kind), cause, conid, stored=json.loads(detail))
