"""Messages and bytes by topic, whatever a gateway calls its topics."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.frames import classify
from ib_platform.streamer.traffic import OTHER, TOPICS, Traffic
from ib_platform_tests.support import capture_messages


def test_recorded_traffic_is_counted_by_topic_to_the_byte() -> None:
    traffic = Traffic()
    payloads = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    expected: Counter[str] = Counter()
    for payload in payloads:
        topic = classify(payload).topic
        traffic.took(topic, len(payload))
        expected[topic] += len(payload)
    assert {topic: size for topic, size in traffic.bytes.items() if size} == expected
    assert sum(traffic.frames.values()) == len(payloads)
    assert traffic.frames["sbd"] == 1525
    assert traffic.frames[OTHER] == 0


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 1 << 20))))
def test_topics_are_a_closed_list(messages: list[tuple[str, int]]) -> None:
    traffic = Traffic()
    for topic, size in messages:
        traffic.took(topic, size)
    assert tuple(traffic.frames) == tuple(traffic.bytes) == TOPICS
    assert sum(traffic.frames.values()) == len(messages)
    assert sum(traffic.bytes.values()) == sum(size for _, size in messages)
