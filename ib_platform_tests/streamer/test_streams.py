"""Streams that break, over a real websocket at a simulated IBKR: noticed, told, healed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ib_platform.config import ClickHouse
from ib_platform.health import LadderCapability
from ib_platform.states import Cause, ContractState, LadderMode, StreamEventKind
from ib_platform_tests.streamer.app_bench import CL, ES, Content, assign, query
from ib_platform_tests.streamer.stream_bench import stream_bench
from ib_platform_tests.support import wait_until

NQ = "NQ.CME.front"


def test_a_silent_ladder_is_healed_and_the_other_one_goes_on(tmp_path: Path) -> None:
    with stream_bench(tmp_path) as bench, bench.streaming():
        bench.at_ibkr.fault("ladders_expired", symbol="CL")
        healed = bench.until(CL, lambda c: c.epoch >= 2, "a new epoch")
        assert healed.reason is None
        other = bench.until(ES, lambda c: c.state is ContractState.LIVE, "live")
        assert other.epoch == 1
        (silent,) = bench.events(StreamEventKind.LADDER_SILENT)
        assert (silent.contract, silent.cause) == (CL, Cause.SILENT_LADDER)
        assert "field 6509 says RB (real time)" in silent.detail["reason"]
        requests = bench.events(StreamEventKind.SUBSCRIBE_REQUESTED, CL)
        assert [(r.cause, r.detail["why"]) for r in requests] == [
            (None, "new"),
            (Cause.SILENT_LADDER, "silent"),
        ]
        assert bench.events(StreamEventKind.DISCONNECTED) == []


@pytest.mark.parametrize(
    ("availability", "words"),
    [
        ("N", "field 6509 says N (not subscribed)"),
        ("DB", "field 6509 says DB (delayed)"),
        ("OB", "sign the yearly Market Data API acknowledgement"),
    ],
)
def test_no_data_has_a_state_a_cause_and_words(
    tmp_path: Path, availability: str, words: str
) -> None:
    with stream_bench(tmp_path) as bench, bench.streaming():
        parameters = {"availability": availability}
        fault = bench.at_ibkr.fault("no_data", symbol="CL", parameters=parameters)
        contract = bench.until(CL, lambda c: c.state is ContractState.NO_DATA, "NO_DATA")
        assert contract.reason is not None
        assert words in contract.reason
        events = wait_until(
            lambda: [
                e
                for e in bench.events(StreamEventKind.LADDER_SILENT, CL)
                if e.cause is Cause.NO_ENTITLEMENT
            ],
            "the event",
        )
        assert words in events[0].detail["reason"]
        requests = bench.events(StreamEventKind.SUBSCRIBE_REQUESTED, CL)
        assert requests[-1].cause is Cause.NO_ENTITLEMENT
        bench.until(ES, lambda c: c.state is ContractState.LIVE, "live")
        bench.at_ibkr.end_fault(fault)
        back = bench.until(CL, lambda c: c.state is ContractState.LIVE, "live again")
        assert back.reason is None
        assert bench.contract(ES).epoch == 1


def test_a_half_open_websocket_is_replaced(tmp_path: Path) -> None:
    limits = {"heartbeat_timeout": 5, "silent_after": 30}
    with (
        stream_bench(tmp_path, limits=limits, heartbeat_every=1.0) as bench,
        bench.streaming(),
    ):
        fault = bench.at_ibkr.fault("half_open")
        wait_until(lambda: bench.events(StreamEventKind.DISCONNECTED), "the end of the connection")
        bench.at_ibkr.end_fault(fault)
        end = bench.events(StreamEventKind.DISCONNECTED)[0]
        assert end.cause is Cause.DISCONNECTED
        assert "nothing came for 5 s, not even a heartbeat" in end.detail["why"]
        bench.until(CL, lambda c: c.state is ContractState.LIVE and c.epoch == 2, "live again")


@pytest.mark.long
def test_a_session_whose_ladders_are_all_silent_gets_one_new_connection(tmp_path: Path) -> None:
    with stream_bench(tmp_path, CL) as bench, bench.streaming():
        fault = bench.at_ibkr.fault("silent_ladder")
        (end,) = wait_until(
            lambda: bench.events(StreamEventKind.DISCONNECTED), "a new connection", timeout=150
        )
        assert end.cause is Cause.SILENT_LADDER
        assert f"{CL} stays silent after 3 requests" in end.detail["why"]
        bench.at_ibkr.end_fault(fault)
        bench.until(CL, lambda c: c.state is ContractState.LIVE, "live again")
        requests = bench.events(StreamEventKind.SUBSCRIBE_REQUESTED, CL)
        assert [r.cause for r in requests[1:5]] == [Cause.SILENT_LADDER] * 4
        assert requests[4].detail["why"] == "new"


def test_unsubscribing_one_of_three_silences_no_other(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    """``ubd`` ends every ladder of the account: the others are asked for again at once."""
    silent_after = 60
    with (
        stream_bench(
            tmp_path, CL, ES, NQ, clickhouse=warehouse, limits={"silent_after": silent_after}
        ) as bench,
        bench.streaming(),
    ):
        for key in (ES, NQ):
            bench.until(key, lambda c: c.state is ContractState.LIVE, "live")
        assign(warehouse, Content((ES, NQ), content_hash=2))
        for key in (ES, NQ):
            bench.until(key, lambda c: c.epoch == 2 and c.state is ContractState.LIVE, "deep again")
        assert bench.contract(CL).state is ContractState.NOT_ASSIGNED
        events = query(
            warehouse,
            "SELECT kind, cause, contract, JSONExtractString(detail, 'why') FROM stream_events "
            "WHERE kind IN ('unsubscribed', 'subscribe_requested', 'disconnected', 'ladder_silent')"
            " AND contract IS NOT NULL ORDER BY event_no",
        )
        # Three requests came before, one after the other.
        assert [kind for kind, *_ in events[:3]] == ["subscribe_requested"] * 3
        assert events[3:] == [
            ("unsubscribed", "not_assigned", CL, ""),
            ("subscribe_requested", "resubscribed", ES, "ended_with_another"),
            ("subscribe_requested", "resubscribed", NQ, "ended_with_another"),
        ]
        for key in (ES, NQ):
            conid = bench.contract(key).conid
            ((longest,),) = query(
                warehouse,
                "SELECT max(gap) FROM (SELECT dateDiff('millisecond', lagInFrame(received_at) OVER "
                "(ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), received_at) AS gap, "
                f"row_number() OVER (ORDER BY seq) AS n FROM ladder_frames WHERE conid = {conid}) "
                "WHERE n > 1",
            )
            assert longest / 1000 < silent_after / 2, "nothing like a silence"


@pytest.mark.parametrize(
    "mode", [LadderMode.REPLACE, pytest.param(LadderMode.FIRST_WINS, marks=pytest.mark.long)]
)
def test_a_session_that_holds_one_ladder_is_found_out_and_kept_to(
    tmp_path: Path, mode: LadderMode
) -> None:
    limits = {"silent_after": 15}
    with stream_bench(tmp_path, limits=limits, ladders={"mode": mode.value}) as bench:
        with bench.started():
            left_out = bench.until(
                ES, lambda c: c.state is ContractState.NO_DATA, "left out", timeout=150
            )
            assert left_out.reason is not None
            assert "needs another paper user" in left_out.reason
            bench.until(CL, lambda c: c.state is ContractState.LIVE, "live")
            health = bench.health()
            assert health is not None
            assert health.capability is not None
            assert (health.capability.mode, health.capability.ladders) == (mode, 1)
            (event,) = bench.events(StreamEventKind.CAPABILITY)
            assert event.detail["mode"] == mode.value
            assert event.detail["evidence"] == health.capability.evidence
            told = [e for e in bench.events(StreamEventKind.LADDER_SILENT, ES)]
            assert told[-1].cause is Cause.NOT_ASSIGNED
        stored = msgspec.json.decode(bench.paths.capability.read_bytes(), type=LadderCapability)
        assert stored == health.capability
        with bench.started("second"):
            bench.until(CL, lambda c: c.state is ContractState.LIVE, "live at once")
            again = bench.contract(ES)
            assert (again.state, again.ladder_frames) == (ContractState.NO_DATA, 0)
            health = bench.health()
            assert health is not None
            assert health.capability == stored
            assert len(bench.events(StreamEventKind.CAPABILITY)) == 1


def test_a_session_that_holds_several_ladders_proves_it(tmp_path: Path) -> None:
    with stream_bench(tmp_path, CL, ES, NQ) as bench, bench.started():
        wait_until(bench.paths.capability.exists, "a stored capability")

        def proven() -> LadderCapability | None:
            health = bench.health()
            known = None if health is None else health.capability
            return known if known is not None and known.ladders == 3 else None

        known = wait_until(proven, "three ladders at once")
        assert known is not None
        assert known.mode is LadderMode.MULTIPLEX
        assert {e.detail["mode"] for e in bench.events(StreamEventKind.CAPABILITY)} == {"multiplex"}
        assert bench.health().contracts[CL].epoch == 1  # type: ignore[union-attr]
