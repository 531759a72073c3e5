"""Frames per CPU-second: classify, decode, reduce and spool recorded ladder frames."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.recorded import ladder_payloads
from ib_platform.marketdata.book import LadderBook
from ib_platform.marketdata.frames import classify
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.streamer.spool import Spool

ROUNDS = 20


def run() -> None:
    """Frames per CPU-second: classify, decode, reduce and spool recorded ladder frames."""
    payloads = ladder_payloads() * ROUNDS
    mean = sum(map(len, payloads)) / len(payloads)
    print(f"{len(payloads):,} recorded ladder frames, mean {mean:.0f} bytes")
    rates = {"json.loads alone (standard library)": _rate(payloads, json.loads)}
    rates["classify + decode"] = _rate(payloads, _decode)
    book = LadderBook()
    rates["classify + decode + reduce"] = _rate(payloads, lambda p: _reduce(book, p))
    with TemporaryDirectory() as folder:
        spool = Spool.open(Path(folder), "bench", "bench-run", segment_bytes=1 << 24)
        rates["spool alone (written, not fsynced)"] = _rate(payloads, lambda p: _spool(spool, p))
        rates["decode + reduce + spool"] = _rate(payloads, lambda p: _all(spool, book, p))
        began = time.perf_counter()
        spool.sync()
        print(f"one fsync after it: {(time.perf_counter() - began) * 1000:.1f} ms")
        spool.close()
    base = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:42} {rate:>10,.0f} frames per CPU-second  {rate / base:5.2f} x json.loads")


def _rate(payloads: list[bytes], work: Callable[[bytes], object]) -> float:
    """Best of three passes."""
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        for payload in payloads:
            work(payload)
        best = max(best, len(payloads) / (time.process_time() - began))
    return best


def _decode(payload: bytes) -> None:
    classify(payload)
    decode_ladder(payload)


def _reduce(book: LadderBook, payload: bytes) -> None:
    classify(payload)
    rows = decode_ladder(payload)
    assert isinstance(rows, LadderRows)
    book.apply(rows)


def _spool(spool: Spool, payload: bytes) -> None:
    spool.append_frame(time.time_ns(), time.monotonic_ns(), 1, payload)


def _all(spool: Spool, book: LadderBook, payload: bytes) -> None:
    _spool(spool, payload)
    _reduce(book, payload)
