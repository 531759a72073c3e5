"""A real streamer run without a network, for tests to kill.

``python -m ib_platform_tests.streamer.run_process FOLDER [SETTINGS]``: spools frames as fast as it
can and prints each seq that the spool acknowledged; with SETTINGS (ClickHouse as a JSON file) it
loads them meanwhile. On SIGTERM it ends cleanly; the last line is then ``drained True`` or not.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform_tests.support import capture_ladder_payloads

SEGMENT_BYTES = 60_000
FRAMES_PER_ROUND = 20


PATIENCE = 1800.0
"""Seconds: what hundreds of killed runs left is loaded, however slow the machine is."""


def main() -> None:
    folder, paper_user = Path(sys.argv[1]), "alpha"
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    run_id = new_run_id(paper_user, datetime.now(UTC))
    os.write(1, f"{run_id}\n".encode())
    spool = Spool.open(folder, paper_user, run_id, segment_bytes=SEGMENT_BYTES)
    loader = None
    if len(sys.argv) > 2:
        settings = ClickHouse.model_validate_json(Path(sys.argv[2]).read_text())
        loader = Loader(spool, settings, Limits(load_every=0.02, load_rows=100))
        loader.start()
    spool.append_event(StreamEventKind.RUN_STARTED)
    payloads = capture_ladder_payloads()
    while not ended.is_set():
        for _ in range(FRAMES_PER_ROUND):
            payload = payloads[spool.frames_written % len(payloads)]
            seq = spool.append_frame(time.time_ns(), time.monotonic_ns(), 1, payload)
            os.write(1, f"{seq}\n".encode())
        ended.wait(0.005 if loader is None else 0.02)
    spool.append_event(StreamEventKind.RUN_STOPPED)
    drained = loader is None or loader.stop(PATIENCE)
    spool.close()
    os.write(1, f"drained {drained}\n".encode())


if __name__ == "__main__":
    main()
