"""Bars in plain Python: what queries/bars.sql defines, written for clarity, not speed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ib_platform.marketdata.bars import BarSize
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.marketdata.prices import to_decimal
from ib_platform_tests.warehouse.recording import SECOND, Recorder, State, trade_date
from ib_platform_tests.warehouse.twin_coverage import Followed, minute_returns
from ib_platform_tests.warehouse.twin_measures import averaged_columns
from ib_platform_tests.warehouse.twin_steps import Break, Lasting, step_columns, steps_of
from ib_platform_tests.warehouse.twin_volume import readings_of, volume_columns

SILENT = 30 * SECOND
"""``limits.silent_after`` of the configuration that tests have."""


@dataclass(frozen=True)
class TwinSpell:
    """How long an epoch was followed, not clipped to the trade date."""

    begin: int
    end: int
    ended_by: str


def spells_of(recorder: Recorder) -> dict[tuple[int, int], TwinSpell]:
    """(conid, epoch) -> spell of one run."""
    epochs: dict[tuple[int, int], list[State]] = defaultdict(list)
    for state in recorder.states:
        epochs[(state.conid, state.update.epoch)].append(state)
    spells = {}
    for (conid, epoch), states in epochs.items():
        last = states[-1]
        following = epochs.get((conid, epoch + 1))
        end, by = max(recorder.last_at, last.at), "run_end"
        if following is not None:
            end, by = following[0].at, "next_epoch"
        for event in recorder.events:
            lost = event.kind == "session_changed" and event.cause is not None
            concerned = (
                lost
                or event.kind == "disconnected"
                or (event.kind == "unsubscribed" and event.conid == conid)
            )
            if concerned and event.after_seq > last.seq:
                at = event.at
                if event.kind == "disconnected":
                    # A dead connection is noticed late: nothing came since its last frame.
                    at = min(at, recorder.frames[event.after_seq - 1][1])
                if following is None or at <= following[0].at:
                    end, by = at, event.kind
                break
        spells[(conid, epoch)] = TwinSpell(states[0].at, max(end, last.at), by)
    return spells


@dataclass(frozen=True)
class TwinPhase:
    """What the market of a contract does in [begin, end)."""

    conid: int
    phase: str
    begin: int
    end: int


def lasting_states(
    recorder: Recorder, breaks: Sequence[Break] = (), phases: Sequence[TwinPhase] = ()
) -> list[Lasting]:
    spells = spells_of(recorder)
    by_conid: dict[int, list[State]] = defaultdict(list)
    for state in recorder.states:
        by_conid[state.conid].append(state)
    answer = []
    for states in by_conid.values():
        before: Lasting | None = None
        for state, following in zip(states, [*states[1:], None], strict=True):
            if following is not None and following.update.epoch == state.update.epoch:
                until = following.at
            else:
                until = spells[(state.conid, state.update.epoch)].end
            gaps = [b for b in breaks if b.run_id is None and b.conid == state.conid]
            cuts = [gap.begin for gap in gaps if gap.begin >= state.at]
            edges = [at for p in phases if p.conid == state.conid for at in (p.begin, p.end)]
            cuts += [at for at in edges if at > state.at]
            until = min([until, *cuts])
            update, last_trade = state.update, None
            if update.last_price is not None and update.last_size is not None:
                last_trade = (update.last_price, update.last_size)
            elif before is not None and _window(before.state) == _window(state):
                last_trade = before.last_trade
            before = Lasting(state, until, before, last_trade)
            answer.append(before)
    return answer


def _window(state: State) -> tuple[int, int]:
    return state.update.epoch, state.update.window


def bars_of(
    recorders: Sequence[Recorder],
    day: date,
    breaks: Sequence[Break] = (),
    phases: Sequence[TwinPhase] = (),
) -> dict[tuple[int, str, int], dict[str, Any]]:
    """(conid, bar size, start in seconds) -> columns, but for flags and stamps of the build."""
    begin, end = (int(instant.timestamp()) for instant in trade_date_span(day))
    members: dict[tuple[int, str, int, int], list[Lasting]] = defaultdict(list)
    for recorder in recorders:
        for lasting in lasting_states(recorder, breaks, phases):
            if trade_date(lasting.state.at) != day:
                continue
            for size in BarSize:
                start, stop = begin, end
                if size is not BarSize.DAY:
                    grid = lasting.state.at // SECOND // size.seconds * size.seconds
                    start, stop = max(begin, grid), min(end, grid + size.seconds)
                members[(lasting.state.conid, size.value, start, stop)].append(lasting)
    followed = _followed(recorders, breaks, phases)
    readings = readings_of(recorders, day)
    returns = {
        conid: minute_returns([m.state for m in found], followed[conid])
        for (conid, size, _, _), found in members.items()
        if size == BarSize.DAY
    }
    return {
        (conid, size, start): _bar(found, start * SECOND, stop * SECOND, breaks)
        | _trust(found, start * SECOND, stop * SECOND, followed[conid])
        | _variance(size, start * SECOND, stop * SECOND, returns[conid])
        | volume_columns(
            readings[conid],
            start * SECOND,
            stop * SECOND,
            [b for b in breaks if b.conid == conid and b.run_id is None],
            SILENT,
        )
        for (conid, size, start, stop), found in members.items()
    }


def _followed(
    recorders: Sequence[Recorder], breaks: Sequence[Break], phases: Sequence[TwinPhase]
) -> dict[int, Followed]:
    spells: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for recorder in recorders:
        for (conid, _), spell in spells_of(recorder).items():
            spells[conid].append((spell.begin, spell.end))
    return {
        conid: Followed(
            found,
            [b for b in breaks if b.conid == conid],
            [(p.begin, p.end) for p in phases if p.conid == conid and p.phase == "open"],
        )
        for conid, found in spells.items()
    }


def _trust(members: list[Lasting], start: int, stop: int, followed: Followed) -> dict[str, Any]:
    suspect = sum(followed.doubts(member.state) for member in members)
    return {
        "covered_seconds": followed.covered(start, stop) / 1e9,
        "warm_up_share": sum(not member.state.complete for member in members) / len(members),
        "suspect_states": suspect,
        "suspect_share": suspect / len(members),
    }


def _variance(size: str, start: int, stop: int, returns: list[tuple[int, float]]) -> dict[str, Any]:
    if size not in (BarSize.HOUR, BarSize.DAY):
        return {"realised_variance": None, "realised_variance_returns": None}
    squares = [change**2 for at, change in returns if start <= at < stop]
    return {
        "realised_variance": sum(squares) if squares else None,
        "realised_variance_returns": len(squares),
    }


def _bar(members: list[Lasting], start: int, stop: int, breaks: Sequence[Break]) -> dict[str, Any]:
    members = sorted(members, key=lambda m: (m.state.at, m.state.run_id, m.state.seq))
    sided = [m for m in members if m.state.touch.two_sided]
    mids = [Decimal(m.state.touch.bid + m.state.touch.ask) / 2 / SECOND for m in sided]  # type: ignore[operator]
    close = members[-1].state.touch
    lengths = []
    for member in members:
        lengths.append((member, max(0, min(member.until, stop) - member.state.at)))
        if member.before is not None and member.before.state.at < start:
            lengths.append((member.before, max(0, min(member.before.until, stop) - start)))
    time = sum(length for held, length in lengths if held.state.touch.two_sided)
    weight = sum(held.spread * length for held, length in lengths)
    crossed = sum(length for held, length in lengths if held.state.touch.crossed)
    both = None
    if close.bid_size is not None and close.ask_size is not None:
        both = close.bid_size + close.ask_size
    averaged = averaged_columns(
        [m.state for m in members], [(held.state, w) for held, w in lengths], members[-1].state
    )
    return (
        dict(averaged)
        | step_columns(steps_of(members, breaks))
        | {
            "bar_end": datetime.fromtimestamp(stop // SECOND, UTC).replace(tzinfo=None),
            "frames": len(members),
            "states": len(sided),
            "one_sided_states": sum(
                (m.state.touch.bid is None) != (m.state.touch.ask is None) for m in members
            ),
            "empty_states": sum(m.state.touch.bid is m.state.touch.ask is None for m in members),
            "crossed_states": sum(m.state.touch.crossed for m in members),
            "locked_states": sum(m.state.touch.locked for m in members),
            "warm_up_states": sum(not m.state.complete for m in members),
            "mid_open": mids[0] if mids else None,
            "mid_high": max(mids, default=None),
            "mid_low": min(mids, default=None),
            "mid_close": mids[-1] if mids else None,
            "bid_close": None if close.bid is None else to_decimal(close.bid),
            "ask_close": None if close.ask is None else to_decimal(close.ask),
            "bid_size_close": close.bid_size,
            "ask_size_close": close.ask_size,
            "spread_mean": sum(m.spread for m in sided) / len(sided) / 1e9 if sided else None,
            "spread_time_weighted": weight / time / 1e9 if time else None,
            "spread_max": max((to_decimal(m.spread) for m in sided), default=None),
            "two_sided_seconds": time / 1e9,
            "crossed_seconds": crossed / 1e9,
            "microprice_close": (
                None
                if both is None
                else (close.ask * close.bid_size + close.bid * close.ask_size) / both / 1e9  # type: ignore[operator]
            ),
            "touch_depth_close": both,
            "imbalance_close": None if both is None else (close.bid_size - close.ask_size) / both,  # type: ignore[operator]
            "warm_up": any(not m.state.complete for m in members),
            "one_sided": len(sided) < len(members),
        }
    )
