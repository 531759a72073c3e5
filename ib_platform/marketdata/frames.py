"""What kind of frame is it: the topic and the contract of a websocket message.

A frame's payload is bytes as received. Whatever it holds, ``classify`` answers: what cannot be read
becomes a topic of its own (``undecodable``), never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

DECODER_VERSION = 1
"""Written into every decoded row; raised when the same payload would decode to other columns."""

LADDER = "sbd"
QUOTE = "smd"
UNDECODABLE_TOPIC = "undecodable"
_NOT_JSON = {b"ech+hb": "ech"}
_KNOWN_BARE = ("message", "error")


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A payload that could not be read: ``reason`` is a word to count, ``detail`` is for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrameKind:
    """Topic word (``sbd``, ``smd``, ``system``, ``sts``, ...), conid if any, error if any."""

    topic: str
    conid: int | None = None
    error: Undecodable | None = None


_ABSENT = msgspec.Raw()


class _Envelope(msgspec.Struct):
    topic: str | None = None
    message: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def classify(payload: bytes) -> FrameKind:
    """Topic and conid of a payload. Never raises."""
    try:
        envelope = _decode_envelope(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if (topic := _NOT_JSON.get(payload)) is not None:
            return FrameKind(topic)
        reason = "bad_envelope" if isinstance(error, msgspec.ValidationError) else "not_json"
        return FrameKind(UNDECODABLE_TOPIC, error=Undecodable(reason, str(error)[:200]))
    if envelope.topic is None:
        bare = next((key for key in _KNOWN_BARE if bytes(getattr(envelope, key))), None)
        if bare is not None:
            return FrameKind(bare)
        return FrameKind(UNDECODABLE_TOPIC, error=Undecodable("no_topic", "no topic in message"))
    word, *parts = envelope.topic.split("+")
    if word not in (LADDER, QUOTE):
        return FrameKind(word[:32])
    position = 1 if word == LADDER else 0
    conid = _conid(parts[position]) if len(parts) > position else None
    if conid is None:
        problem = Undecodable("bad_topic", f"no conid in topic {envelope.topic[:80]!r}")
        return FrameKind(word, error=problem)
    return FrameKind(word, conid)


def _conid(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)
