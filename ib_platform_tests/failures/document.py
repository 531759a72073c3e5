"""docs/failures.md, from the table that the tests play and from what they measured.

``UPDATE_DOCS=1 python -m pytest ib_platform_tests/failures`` measures and writes it anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock

from ib_platform_tests.failures.table import OF_GATEWAYS, OF_SESSIONS, Failure
from ib_platform_tests.failures.table_of_logins import OF_LOGINS, LoginFailure
from ib_platform_tests.failures.table_of_streams import OF_STREAMS

ALL = (*OF_SESSIONS, *OF_GATEWAYS, *OF_STREAMS)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
MEASURED = Path(__file__).with_name("measured.json")
BROWSER = "browser_left_behind"
_HEAD = """# Failures that a pod survives

Generated from `ib_platform_tests/failures`, which plays each row against a whole pod: supervisor,
streamer process, simulated IBKR, ClickHouse. A test asserts state, time to notice, that ladders
come back and are asked for again, event and the cause of the gap. The column cure says what the pod
does; its order, pauses and limits are asserted on the session machine (`ib_platform_tests/ibkr`),
the gateway program (`ib_platform_tests/gateway`) and the requests (`ib_platform_tests/streamer`):
here the simulated gateway listens all the time, and no program of its own is started. The last
column is what one run measured (both ladders), on the machine that wrote this page:
`UPDATE_DOCS=1 .venv/bin/python -m pytest ib_platform_tests/failures`. The row is that of the notes
on IBKR's failure modes. Faults last some 12 s here or until they are told, and the penalty is
shortened. `silent_after` is 8 s where one ladder is silent, 20 s elsewhere. How silences are told
apart: `docs/streams.md`.

"""
_OF_LOGINS = """
## When the login is what fails

The login of a streaming pod is gone, and this meets the next one, in a real browser. Most of it
only a person ends; the tests play that person too, at once, after a restart of the supervisor that
must not help. No login follows another within 30 s, which is part of what was measured. What each
outcome means: `docs/login.md`; what ends a lock: `docs/sessions.md`.

"""
_AT_THE_START = """
A pod that meets a second factor at its very start tells the same. Its gap begins when its contracts
are due, cause `session_lost`, though there is no frame, and no gateway program any more that could
be asked; its streamer says LOCKED too (`test_never_logged_in.py`).

Row 14, memory and zombies of the browser: it lives only while logging in. Measured: {browser}.
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
_COLUMNS_OF_LOGINS = (
    "row",
    "what happens",
    "state, with an alarm (told by)",
    "noticed within",
    "what the pod does",
    "logins counted",
    "what a person does",
    "live again after that within",
    "event, cause",
    "gap",
    "measured",
)


def rendered() -> str:
    """The page as it should be."""
    known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}

    def measured(name: str) -> str:
        return str(known.get(name, "not measured"))

    rows = [_row(failure, measured(failure.name)) for failure in ALL]
    logins = [_row_of_login(failure, measured(failure.name)) for failure in OF_LOGINS]
    return (
        _HEAD
        + _table(_COLUMNS, rows)
        + _OF_LOGINS
        + _table(_COLUMNS_OF_LOGINS, logins)
        + _AT_THE_START.format(browser=measured(BROWSER))
    )


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


def _row_of_login(failure: LoginFailure, measured: str) -> str:
    cells = (
        failure.row,
        failure.what,
        f"{failure.state.value} (gateway)",
        f"{failure.noticed:.0f} s",
        failure.pod_does,
        str(failure.logins),
        failure.person or "nothing",
        f"{failure.back:.0f} s",
        "session_changed, session_lost",
        "session_lost",
        measured,
    )
    return _line(cells)


def _table(columns: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([_line(columns), "|" + "---|" * len(columns), *rows]) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
