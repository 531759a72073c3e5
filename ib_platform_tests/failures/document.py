"""docs/failures.md, from the table that the tests play and from what they measured.

``UPDATE_DOCS=1 python -m pytest ib_platform_tests/failures`` measures and writes it anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock

from ib_platform_tests.failures.table import OF_GATEWAYS, OF_SESSIONS, Failure
from ib_platform_tests.failures.table_of_streams import OF_STREAMS

ALL = (*OF_SESSIONS, *OF_GATEWAYS, *OF_STREAMS)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
MEASURED = Path(__file__).with_name("measured.json")
_HEAD = """# Failures that a pod survives

Generated from `ib_platform_tests/failures`, which plays each row against a whole pod: supervisor,
streamer process, simulated IBKR, ClickHouse. A test asserts state, time to notice, cure, event and
the cause of the gap. The last column is what one run measured (both ladders), on the machine that
wrote this page: `UPDATE_DOCS=1 .venv/bin/python -m pytest ib_platform_tests/failures`. The row is
that of the notes on IBKR's failure modes. Faults last some 12 s here, and the penalty is shortened.

Failures of the login page: `docs/login.md` and `ib_platform_tests/gateway`. Those of the streams
(silent ladders, missing entitlement, dead sockets, quotes that end): `docs/streams.md` and
`ib_platform_tests/streamer`.

"""
_COLUMNS = (
    "row",
    "what happens",
    "state (told by)",
    "noticed within",
    "cure",
    "live again within",
    "event, cause",
    "gap",
    "measured",
)


def rendered() -> str:
    """The page as it should be."""
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    rows = [_row(failure, measured.get(failure.name, "not measured")) for failure in ALL]
    rows = [_line(_COLUMNS), "|" + "---|" * len(_COLUMNS), *rows]
    return _HEAD + "\n".join(rows) + "\n"


def note(name: str, measured: str) -> None:
    """Write down what was measured, if this run is to."""
    if not os.environ.get("UPDATE_DOCS"):
        return
    with FileLock(f"{MEASURED}.lock"):
        known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
        known[name] = measured
        MEASURED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        PAGE.write_text(rendered())


def _row(failure: Failure, measured: str) -> str:
    event = "the websocket stays open"
    if failure.event is not None:
        event = ", ".join(word.value for word in failure.event)
    gap = "none" if failure.gap is None else failure.gap.value
    if failure.gap is not None and failure.symbol is not None:
        gap += f", {failure.symbol} only"
    noticed = "nothing is lost" if failure.noticed is None else f"{failure.noticed:.0f} s"
    cells = (
        failure.row,
        failure.what,
        f"{failure.state.value} ({failure.told_by})",
        noticed,
        failure.cured_by,
        f"{failure.back:.0f} s",
        event,
        gap,
        measured,
    )
    return _line(cells)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
