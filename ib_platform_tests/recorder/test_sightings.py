"""Which frames were seen when."""

from __future__ import annotations

import json

from ib_platform.recorder.sightings import Sightings


def ladder(conid: int, rows: int) -> bytes:
    return json.dumps(
        {"topic": f"sbd+DU1+{conid}", "data": [{"row": n} for n in range(rows)]}
    ).encode()


def seen() -> Sightings:
    sightings = Sightings()
    sightings.saw(1.0, 1, ladder(42, 21))
    sightings.saw(2.0, 1, ladder(42, 3))
    sightings.saw(2.0, 2, ladder(42, 2))
    sightings.saw(3.0, 1, ladder(7, 1))
    sightings.saw(4.0, 1, b'{"topic":"smd+42","31":"1"}')
    sightings.saw(5.0, 1, b'{"topic":"ubd","message":"unsubscribed"}')
    return sightings


def test_ladders_by_contract_instant_and_websocket() -> None:
    sightings = seen()
    assert [s.at for s in sightings.ladder(42, 0.0)] == [1.0, 2.0, 2.0]
    assert [s.at for s in sightings.ladder(42, 2.0)] == [2.0, 2.0]
    assert [s.rows for s in sightings.ladder(42, 0.0, connection=2)] == [2]
    assert sightings.ladder(42, 2.1) == []
    assert [s.at for s in sightings.ladder(7, 0.0)] == [3.0]


def test_full_frames_quotes_and_topics() -> None:
    sightings = seen()
    assert [s.at for s in sightings.full_frames(42, 0.0)] == [1.0]
    assert [s.at for s in sightings.quotes(42, 0.0)] == [4.0]
    assert [s.at for s in sightings.of_topic("ubd", 0.0)] == [5.0]


def test_frames_without_rows_and_nonsense_are_no_ladder() -> None:
    sightings = Sightings()
    for payload in (ladder(42, 0), b'{"topic":"sbd+DU1+42","data":7}', b"\xff", b"", b"[" * 9999):
        sightings.saw(1.0, 1, payload)
    assert sightings.ladder(42, 0.0) == []
    assert sightings.saw(1.0, 1, b"ech+hb") == "ech"
