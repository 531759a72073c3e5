"""One run: what should be stored, what is, and what explains the difference. Pure."""

from __future__ import annotations

from ib_platform.states import Cause
from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.verify.account import RunAccount, RunEnd
from ib_platform.warehouse.verify.evidence import REPORT, Case, SpooledRun, StoredRun
from ib_platform.warehouse.verify.findings import Balance, Kind, RunProof, Standing
from ib_platform.warehouse.verify.missing import judge_missing, missing_numbers


def judge_run(
    account: RunAccount,
    stored: StoredRun,
    spooled: SpooledRun,
    span: Span,
    kept_from: int | None,
) -> RunProof:
    """Everything about one run in the span (ns since 1970).

    ``kept_from``: begin of the oldest trade date of which any frame is stored, None when there is
    none: what a run received before it may have been given up on purpose.
    """
    case = Case(account)
    missing = missing_numbers(case, stored, span, kept_from)
    counts = judge_missing(case, missing, stored, spooled)
    lost = _judge_losses(case, span)
    hidden = _judge_end(case, stored, span)
    _judge_content(case, stored, spooled)
    numbered = stored.frames + sum(counts.values())
    unexplained = counts[Standing.UNEXPLAINED] + lost[Standing.UNEXPLAINED] + hidden
    balance = Balance(
        received=numbered + sum(lost.values()) + hidden,
        spooled=numbered,
        stored=stored.frames,
        explained=counts[Standing.EXPLAINED] + lost[Standing.EXPLAINED],
        pending=counts[Standing.PENDING],
        unknown=counts[Standing.UNKNOWN],
        unexplained=unexplained,
        repeated=stored.rows - stored.frames,
        payload_bytes=stored.payload_bytes,
    )
    end = _end_word(account.end, stored)
    return RunProof(account.paper_user, account.run_id, end, balance, tuple(case.findings))


def _end_word(end: RunEnd | None, stored: StoredRun) -> str:
    if stored.has_following:
        return "later"
    if end is None:
        return "unknown"
    return "stopped" if end.stopped else "recovered"


def _judge_losses(case: Case, span: Span) -> dict[Standing, int]:
    """Frames that the disk refused, from their events in the span."""
    counts = dict.fromkeys((Standing.EXPLAINED, Standing.UNEXPLAINED), 0)
    for loss in case.account.losses:
        if not span.begin <= loss.at < span.end:
            continue
        if loss.frames is None:
            text = "frames were lost, and their event does not say how many"
            case.find(Kind.LOST, Standing.UNKNOWN, None, text, cause=loss.cause)
        elif loss.cause is None:
            counts[Standing.UNEXPLAINED] += loss.frames
            text = "frames were lost, and their event names no cause"
            case.find(Kind.LOST, Standing.UNEXPLAINED, loss.frames, text, remedy=REPORT)
        else:
            counts[Standing.EXPLAINED] += loss.frames
            text = "the spool refused them, so they took no number"
            case.find(Kind.LOST, Standing.EXPLAINED, loss.frames, text, cause=loss.cause)
    return counts


def _judge_end(case: Case, stored: StoredRun, span: Span) -> int:
    """The run's own totals, where it ended in the span. Returns frames that nobody accounts for."""
    account, end = case.account, case.account.end
    if end is None:
        if not stored.has_following:
            text = (
                "no end is recorded: it goes on, or it died and no later run has loaded its spool. "
                "What it received behind its last stored frame is unknown"
            )
            case.find(Kind.NO_END, Standing.UNKNOWN, None, text)
        return 0
    if not span.begin <= end.at < span.end:
        return 0
    if not end.stopped:
        _judge_death(case, end)
        return 0
    losses = [loss.frames for loss in account.losses]
    if end.received is None or end.spooled is None or None in losses:
        text = "the run's end does not say how many frames it received and spooled"
        case.find(Kind.BALANCE, Standing.UNKNOWN, None, text)
        return 0
    lost = sum(frames for frames in losses if frames is not None)
    hidden = end.received - end.spooled - lost
    if hidden or end.spooled != end.next_seq or end.lost != lost:
        text = (
            f"the run says that it received {end.received}, spooled {end.spooled} and lost "
            f"{end.lost}; it gave {end.next_seq} numbers, and its events tell of {lost} lost frames"
        )
        case.find(Kind.BALANCE, Standing.UNEXPLAINED, abs(hidden), text, remedy=REPORT)
    return max(0, hidden)


def _judge_death(case: Case, end: RunEnd) -> None:
    if end.next_seq is None:
        text = "the run died; the event of its recovery does not say where its numbers end"
        case.find(Kind.NO_END, Standing.UNKNOWN, None, text)
    if end.torn_bytes:
        text = f"the run died while it wrote a record: {end.torn_bytes} bytes of it were cut off"
        cause = Cause.STREAMER_DIED.value
        case.find(Kind.TORN, Standing.EXPLAINED, None, text, cause=cause)


def _judge_content(case: Case, stored: StoredRun, spooled: SpooledRun) -> None:
    repeated = stored.rows - stored.frames
    if repeated > 0:
        text = "rows beyond the first of their number: FINAL hides them and merges remove them"
        case.find(Kind.REPEATED, Standing.HARMLESS, repeated, text)
    if stored.conflicting:
        numbers = ", ".join(str(seq) for seq in stored.conflicting_examples)
        text = f"different frames are stored under one number, and a merge keeps one: {numbers}"
        remedy = "Look at these rows before they merge (SYSTEM STOP MERGES frames). " + REPORT
        frames = stored.conflicting
        case.find(Kind.CONFLICTING, Standing.UNEXPLAINED, frames, text, remedy=remedy)
    if spooled.different:
        numbers = ", ".join(str(seq) for seq in spooled.different_examples)
        text = f"stored with other bytes or stamps than the spool holds: {numbers}"
        remedy = (
            "The spool is what was received: copy its folder before it is freed, and report it."
        )
        frames = spooled.different
        case.find(Kind.DIFFERENT, Standing.UNEXPLAINED, frames, text, remedy=remedy)
