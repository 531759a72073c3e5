"""Ten minutes at 1,000 frames a second: is memory flat, are parts bounded, does lag stay below 2 s?

python -m benchmarks soak             # MINUTES=10 RATE=1000 by default; only when named
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.endurance import summary, table, watch
from benchmarks.stream_rig import where

MINUTES = float(os.environ.get("MINUTES", "10"))
RATE = float(os.environ.get("RATE", "1000"))
SPANS = 10


def run() -> None:
    """Ten minutes at 1,000 frames a second: memory, lag, parts in ClickHouse."""
    with TemporaryDirectory() as folder:
        print(f"{MINUTES:g} minutes at {RATE:,.0f} frames/s, {where(Path(folder))}")
        watched = watch(Path(folder), round(MINUTES * 60 * RATE), RATE)
    for line in (*table(watched.samples, SPANS), *summary(watched)):
        print(line)
