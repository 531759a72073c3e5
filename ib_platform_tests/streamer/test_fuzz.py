"""200,000 mutated real frames through classify, decode and reduce: no exception, all counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ib_platform.streamer.arrow import to_arrow
from ib_platform.streamer.decode import TABLES, RunDecoder
from ib_platform.streamer.records import Record, RecordKind
from ib_platform_tests.figures import Figures
from ib_platform_tests.streamer.spools import BASE_NS
from ib_platform_tests.support import capture_messages

FRAMES = 200_000
SEED = 20251113
PER_BATCH = 5_000
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    21,
    10**9,
    2**63,
    10**40,
    -0.0,
    1e308,
    0.1,
    "",
    "58.28",
    "-58.2800000001",
    "3 @ 58.28",
    "@",
    "1,234.5",
    "1,23",
    "999999999",
    "٣",
    "NaN",
    "\x00",
    "x" * 300,
    [],
    {},
    [[]],
    {"row": 0},
)
ODD_TOPICS = ("sbd", "sbd+DU1+", "smd+-1", "smd+1e3", "sbd+DU1+5+NYMEX", "+", "sts", "\u2028", "")


def flip_bytes(rng: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def flip_digits(rng: random.Random, payload: bytes) -> bytes:
    """Other printable characters: what survives as JSON more often than random bytes do."""
    data = bytearray(payload)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.choice(b'0123456789.,@-"{}[]: ')
    return bytes(data)


def truncate(rng: random.Random, payload: bytes) -> bytes:
    return payload[: rng.randrange(len(payload))]


def duplicate_piece(rng: random.Random, payload: bytes) -> bytes:
    begin, end = sorted(rng.randrange(len(payload) + 1) for _ in range(2))
    return payload[:end] + payload[begin:end] + payload[end:]


def mutate_structure(rng: random.Random, payload: bytes) -> bytes:
    """Still JSON, of another shape: values, keys and rows replaced, dropped or repeated."""
    message = msgspec.json.decode(payload)
    for _ in range(rng.randint(1, 2)):
        _mutate(rng, message)
    return msgspec.json.encode(message)


def _mutate(rng: random.Random, message: Any) -> None:
    rows = message.get("data") if isinstance(message, dict) else None
    target = message
    if isinstance(rows, list) and rows and rng.random() < 0.8:
        choice = rng.randrange(5)
        if choice == 0:
            rows.append(rng.choice(rows))
        elif choice == 1:
            rows.pop(rng.randrange(len(rows)))
        elif choice == 2:
            rng.shuffle(rows)
        target = rng.choice(rows) if rows else message
    if not isinstance(target, dict) or not target:
        return
    key = rng.choice(list(target))
    action = rng.randrange(4)
    if action == 0:
        del target[key]
    elif action == 1:
        target[rng.choice(("row", "price", "bid", "ask", "focus", "topic", "data", "31"))] = target[
            key
        ]
    elif key == "topic":
        target[key] = rng.choice(ODD_TOPICS)
    else:
        target[key] = rng.choice(ODD_VALUES)


MUTATORS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_bytes,
    flip_digits,
    truncate,
    duplicate_piece,
    mutate_structure,
    mutate_structure,
    mutate_structure,
)


def mutated_frames(count: int, seed: int) -> Iterator[bytes]:
    """Real frames, each mutated once; one in ten as it is, so that books have something to lose."""
    rng = random.Random(seed)
    inbound = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    originals = [p for p in inbound if p.startswith((b'{"topic":"sbd', b'{"topic":"smd'))]
    for _ in range(count):
        payload = rng.choice(originals)
        yield payload if rng.random() < 0.1 else rng.choice(MUTATORS)(rng, payload)


def test_mutated_frames_are_all_stored_or_counted(figures: Figures) -> None:
    decoder = RunDecoder("alpha", "fuzz")
    stored: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    batch: list[Record] = []
    for seq, payload in enumerate(mutated_frames(FRAMES, SEED)):
        batch.append(Record(RecordKind.FRAME, BASE_NS + seq, seq, seq, 1, payload))
        if len(batch) < PER_BATCH:
            continue
        rows = decoder.decode(batch)
        assert [row[9] for row in rows["frames"]] == [record.payload for record in batch]
        errors.update(row[10] for row in rows["frames"] if row[10] is not None)
        for table in TABLES:
            stored[table] += to_arrow(table, rows[table]).num_rows
        decoder = msgspec.json.decode(msgspec.json.encode(decoder), type=RunDecoder)
        batch = []
    assert stored["frames"] == decoder.frames == FRAMES
    assert decoder.undecodable == errors
    assert all(reason for reason in errors)
    decoded = stored["ladder_frames"] + stored["quote_frames"]
    reasons = [f"\n  {reason:22} {count:7}" for reason, count in errors.most_common()]
    figures(
        f"{FRAMES} mutated frames: {decoded} decoded, {errors.total()} undecodable"
        + "".join(reasons)
    )
    assert decoded > FRAMES / 10
    assert len(errors) >= 10


def test_every_book_survives_what_it_was_fed() -> None:
    decoder = RunDecoder("alpha", "fuzz")
    for seq, payload in enumerate(mutated_frames(3_000, SEED + 1)):
        decoder.decode([Record(RecordKind.FRAME, BASE_NS, seq, seq, 1, payload)])
        for book in decoder.books.values():
            assert len(book.sizes) == 21
            book.touch()


def test_the_same_seed_gives_the_same_frames() -> None:
    assert list(mutated_frames(500, 4)) == list(mutated_frames(500, 4))
    assert list(mutated_frames(500, 4)) != list(mutated_frames(500, 5))
