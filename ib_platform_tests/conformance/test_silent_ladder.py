"""A ladder that falls silent while heartbeats go on: our streamer beside ibind 0.2.2.

Both meet the same simulated fault: the ladder's subscription ends without a word, and a new request
would bring it back.
"""

from __future__ import annotations

import time
from pathlib import Path

from ib_platform.states import Cause, ContractState, StreamEventKind
from ib_platform_tests.conformance.ibind_client import IbindClient, ibind
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.figures import Figures
from ib_platform_tests.streamer.app_bench import CL, ES
from ib_platform_tests.streamer.stream_bench import NANOS, begin_session, stream_bench

SILENT_AFTER = 10.0
WATCHED = 25.0


def _front(client: IbindClient) -> str:
    months = client.rest("security_future_by_symbol", symbols=["CL"])["CL"]
    return str(min(months, key=lambda month: month["expirationDate"])["conid"])


def _wait_for_rows(client: IbindClient, running: SimulatorProcess) -> str:
    begin_session(running)
    assert client.do("start") is True
    client.event("WsAuthenticated")
    subscribed = client.do("subscribe_ladder", conid=_front(client))
    client.event("PriceLadder")
    return str(subscribed["key"])


def _ibind_watches(folder: Path) -> tuple[int, str]:
    """Heartbeats that ibind got, and what it says of its ladder, after the time of silence."""
    with simulator(folder, heartbeat_every=2.0) as running, ibind(running) as client:
        key = _wait_for_rows(client, running)
        running.fault("ladders_expired", symbol="CL")
        # A frame that was under way may still come.
        client.event("System", lambda said: "hb" in said["data"], after=client.now())
        silent_from, until = client.now(), time.monotonic() + WATCHED
        while time.monotonic() < until:
            client.event("System", lambda said: "hb" in said["data"], after=client.now())
        assert client.events("PriceLadder", after=silent_from) == []
        noticed = [*client.events("WsDegraded"), *client.events("WsError")]
        noticed += client.events("SubscriptionUpdated", after=silent_from)
        assert noticed == []
        assert running.session()["ladders"] == [], "and it has not asked again"
        heartbeats = [
            event for event in client.events("System", after=silent_from) if "hb" in event["data"]
        ]
        return len(heartbeats), str(client.do("binding", key=key))


def test_a_silent_ladder_is_noticed_by_ours_and_not_by_ibind(
    tmp_path: Path, figures: Figures
) -> None:
    for name in ("ours", "ibind"):
        (tmp_path / name).mkdir()
    limits = {"silent_after": SILENT_AFTER}
    with (
        stream_bench(tmp_path / "ours", limits=limits, heartbeat_every=2.0) as bench,
        bench.streaming(),
    ):
        bench.until(ES, lambda c: c.state is ContractState.LIVE, "live")
        bench.at_ibkr.fault("ladders_expired", symbol="CL")
        bench.until(CL, lambda c: c.epoch == 2 and c.state is ContractState.LIVE, "healed")
        other = bench.contract(ES)
        assert (other.state, other.epoch) == (ContractState.LIVE, 1)
        times = bench.ladder_times(CL)
        (silent,) = [
            record.monotonic_ns / NANOS
            for record, event in bench.event_records()
            if event.kind is StreamEventKind.LADDER_SILENT
        ]
        last_before = max(at for at in times if at < silent)
        back = min(at for at in times if at > silent)
        assert [e.cause for e in bench.events(StreamEventKind.LADDER_SILENT)] == [
            Cause.SILENT_LADDER
        ]
    assert silent - last_before <= 2 * SILENT_AFTER
    heartbeats, binding = _ibind_watches(tmp_path / "ibind")
    assert heartbeats > 0
    assert binding == "ACTIVE"
    figures(
        f"a ladder falls silent, heartbeats go on (threshold {SILENT_AFTER:.0f} s)\n"
        "client         noticed after   rows again after   other ladder\n"
        f"ib_platform    {silent - last_before:9.1f} s     {back - last_before:9.1f} s"
        "         undisturbed\n"
        f"ibind 0.2.2    nothing in {WATCHED:.0f} s  never ({binding}, {heartbeats} heartbeats)"
        "  it holds one"
    )
