"""What the events of the record say about each run: its end, its losses, its damage. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.spans import Span

FRAMES = "frames"


@dataclass(frozen=True)
class RunEnd:
    """How a run ended. ``at``: ns since 1970; of a run that died, when a later one said so.

    ``next_seq``: its numbers end before it; None: the event does not say. ``received``,
    ``spooled``, ``lost``: the run's own totals, None for a run that died.
    """

    at: int
    stopped: bool
    next_seq: int | None
    received: int | None = None
    spooled: int | None = None
    lost: int = 0
    torn_bytes: int = 0


@dataclass(frozen=True)
class Lost:
    """Frames that the disk refused, which took no number. ``frames`` None: not recorded."""

    at: int
    frames: int | None
    cause: str | None


@dataclass(frozen=True)
class Damage:
    """Bytes or segments of a spool that could not be read. Numbers from ``begin`` to before ``end``
    went with them; None: it is not known where that begins or ends."""

    at: int
    begin: int | None
    end: int | None


@dataclass
class RunAccount:
    """Events of one run. ``started_at``: ns since 1970, None when that is not stored."""

    run_id: str
    paper_user: str
    started_at: int | None = None
    end: RunEnd | None = None
    losses: list[Lost] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    refused: dict[str, Span] = field(default_factory=dict)
    """Numbers of batches that ClickHouse refused for their content and that were not sent again
    since, by the batch's name."""


def accounts_of(events: Iterable[Mapping[str, Any]]) -> dict[str, RunAccount]:
    """Accounts by run id, from rows of ``verify_events.sql`` in order of time.

    Details that another version wrote in another shape count as not recorded.
    """
    accounts: dict[str, RunAccount] = {}

    def account(run_id: str, paper_user: str) -> RunAccount:
        return accounts.setdefault(run_id, RunAccount(run_id, paper_user))

    resent = set()
    for event in events:
        detail = _detail(event["detail"])
        user, at, kind = event["paper_user"], event["at"], event["kind"]
        own = account(event["run_id"], user)
        about = detail.get("run_id")
        if kind == StreamEventKind.RUN_STARTED:
            own.started_at = at
        elif kind == StreamEventKind.RUN_STOPPED:
            own.end = _stopped(at, event["after_seq"], detail)
        elif kind == StreamEventKind.FRAMES_LOST:
            own.losses.append(Lost(at, _count(detail, "lost_frames"), event["cause"]))
        elif kind == StreamEventKind.RUN_RECOVERED and isinstance(about, str):
            died = account(about, user)
            died.end = died.end or _recovered(at, detail)
        elif _is_damage(event) and isinstance(about, str):
            begin, end = _count(detail, "next_seq"), _count(detail, "found_seq")
            account(about, user).damages.append(Damage(at, begin, end))
        elif kind == StreamEventKind.BATCH_REFUSED and isinstance(about, str):
            first, last = _count(detail, "first_seq"), _count(detail, "last_seq")
            if FRAMES in (detail.get("tables") or ()) and first is not None and last is not None:
                account(about, user).refused[str(detail.get("batch"))] = Span(first, last + 1)
        elif kind == StreamEventKind.BATCH_RESENT:
            resent.add(str(detail.get("batch")))
    for one in accounts.values():
        # Its event stands at the batch's own time, before that of the refusal.
        one.refused = {name: span for name, span in one.refused.items() if name not in resent}
    return accounts


def _is_damage(event: Mapping[str, Any]) -> bool:
    """A torn tail, the other cause, took no number: its record was never complete."""
    words = (event["kind"], event["cause"])
    return words == (StreamEventKind.SPOOL_TORN, Cause.SPOOL_DAMAGED)


def _stopped(at: int, after_seq: int, detail: Mapping[str, Any]) -> RunEnd:
    return RunEnd(
        at,
        True,
        after_seq,
        _count(detail, "received"),
        _count(detail, "spooled"),
        _count(detail, "lost") or 0,
    )


def _recovered(at: int, detail: Mapping[str, Any]) -> RunEnd:
    torn = _count(detail, "torn_bytes") or 0
    return RunEnd(at, False, _count(detail, "next_seq"), torn_bytes=torn)


def _count(detail: Mapping[str, Any], name: str) -> int | None:
    value = detail.get(name)
    return value if type(value) is int and value >= 0 else None


def _detail(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
