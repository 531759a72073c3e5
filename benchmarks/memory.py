"""Memory of a streamer over a million frames, faster than any day brings them.

python -m benchmarks memory           # FRAMES=1000000 RATE=4000 by default; only when named
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.endurance import summary, table, watch
from benchmarks.stream_rig import where

FRAMES = int(os.environ.get("FRAMES", "1000000"))
RATE = float(os.environ.get("RATE", "4000"))
SPANS = 10


def run() -> None:
    """Memory of a streamer over a million frames, and of ClickHouse beside it."""
    with TemporaryDirectory() as folder:
        print(f"{FRAMES:,} frames at {RATE:,.0f} a second, {where(Path(folder))}")
        watched = watch(Path(folder), FRAMES, RATE)
    for line in (*table(watched.samples, SPANS), *summary(watched)):
        print(line)
