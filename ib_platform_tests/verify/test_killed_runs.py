"""Real processes, killed at any moment: nothing goes missing without a cause."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

from ib_platform.config import ClickHouse
from ib_platform.warehouse.times import span_of
from ib_platform.warehouse.verify.findings import Verification
from ib_platform_tests.streamer.spools import RunProcess
from ib_platform_tests.verify.recorded import change, delete, verify_with_spool


def test_kill_9_and_a_clean_end(tmp_path: Path, warehouse: ClickHouse) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(warehouse.model_dump_json())
    folder = tmp_path / "spool"
    began = datetime.now(UTC).isoformat()

    def verify_since() -> Verification:
        span = span_of(datetime.now(UTC), None, began, None)
        return verify_with_spool(warehouse, folder, span)

    acknowledged = {}
    for frames, end in ((300, signal.SIGKILL), (100, signal.SIGKILL), (200, signal.SIGTERM)):
        run = RunProcess(folder, settings)
        run.wait_for_frames(frames)
        assert verify_since().unexplained == []
        run.end(end)
        acknowledged[run.run_id] = len(run.acknowledged)
        dead = verify_since()
        assert dead.unexplained == []
        (proof,) = [proof for proof in dead.runs if proof.run_id == run.run_id]
        # What the spool acknowledged is stored, or it is in the spool; one more may be complete.
        assert 0 <= proof.balance.received - acknowledged[run.run_id] <= 1
    found = verify_since()
    assert [run.end for run in found.runs] == ["recovered", "recovered", "stopped"]
    assert found.unexplained == []
    total = found.total
    assert total.received == total.stored + total.explained
    assert total.pending == 0
    change(warehouse, delete("seq = 50"))
    assert len(verify_since().unexplained) == 3
