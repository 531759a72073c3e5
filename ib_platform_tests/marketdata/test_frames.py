"""Every payload gets a topic; none raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.frames import UNDECODABLE_TOPIC, FrameKind, classify
from ib_platform_tests.support import CAPTURE_CONID, capture_messages


@pytest.mark.parametrize(
    ("payload", "topic", "conid"),
    [
        (b'{"topic":"sbd+DU1000001+700000001","data":[]}', "sbd", 700000001),
        (b'{"topic":"sbd+DU1000001+700000001+CME","data":[]}', "sbd", 700000001),
        (b'{"topic":"smd+700000001","31":"1"}', "smd", 700000001),
        (b'{"topic":"system","hb":1795330232001}', "system", None),
        (b'{"topic":"sts","args":{"authenticated":false}}', "sts", None),
        (b'{"topic":"ubd","message":"unsubscribed"}', "ubd", None),
        (b'{"message":"waiting for session"}', "message", None),
        (b'{"error":"no","topic":"sor"}', "sor", None),
        (b'{"error":"no"}', "error", None),
        (b"ech+hb", "ech", None),
    ],
)
def test_topic_and_conid(payload: bytes, topic: str, conid: int | None) -> None:
    assert classify(payload) == FrameKind(topic, conid)


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (b"", UNDECODABLE_TOPIC, "not_json"),
        (b'{"topic":', UNDECODABLE_TOPIC, "not_json"),
        (b"\xff\xfe", UNDECODABLE_TOPIC, "not_json"),
        (b"[1,2]", UNDECODABLE_TOPIC, "bad_envelope"),
        (b'{"topic":7}', UNDECODABLE_TOPIC, "bad_envelope"),
        (b"{}", UNDECODABLE_TOPIC, "no_topic"),
        (b'{"topic":"sbd+DU1000001","data":[]}', "sbd", "bad_topic"),
        (b'{"topic":"sbd","data":[]}', "sbd", "bad_topic"),
        (b'{"topic":"sbd+DU1000001+70x","data":[]}', "sbd", "bad_topic"),
        (b'{"topic":"smd+9999999999999999999"}', "smd", "bad_topic"),
    ],
)
def test_what_cannot_be_read_says_why(payload: bytes, topic: str, reason: str) -> None:
    kind = classify(payload)
    assert kind.topic == topic
    assert kind.conid is None
    assert kind.error is not None
    assert kind.error.reason == reason
    assert kind.error.detail


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    assert classify(payload).topic


def test_every_recorded_message_is_known() -> None:
    kinds = [classify(m["msg"].encode()) for m in capture_messages() if m["dir"] == "in"]
    assert {kind.topic for kind in kinds} == {"system", "act", "sts", "smd", "sbd"}
    assert not [kind for kind in kinds if kind.error]
    assert {kind.conid for kind in kinds if kind.topic == "sbd"} == {CAPTURE_CONID}
