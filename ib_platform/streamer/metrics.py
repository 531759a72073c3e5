"""Metrics of one streamer run, read from its state when somebody scrapes.

Runs in the event loop, between two frames: looks at memory only, and counts nothing itself. The
inserts of the loader's thread are counted in ``insert_metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ib_platform import __version__
from ib_platform.health import ContractHealth
from ib_platform.metrics import counter, counters, gauge, gauges, info, name_of, state_set
from ib_platform.states import Cause, ContractState, LadderMode, PodState
from ib_platform.streamer.health import StreamerState

LOADER_STATES = ("idle", "loading", "retrying", "blocked")
LOSS_CAUSES = (Cause.DISK_FULL, Cause.SPOOL_DAMAGED)


class StreamerCollector(Collector):
    """Everything that ``StreamerState`` knows. Register it with the registry of the run."""

    def __init__(self, state: StreamerState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        yield from _run(self._state)
        yield from _session(self._state)
        yield from _frames(self._state)
        yield from _spool(self._state)
        yield from _disk(self._state)
        yield from _contracts(self._state)


def _run(state: StreamerState) -> Iterator[Metric]:
    yield info(
        "streamer",
        "The paper user, its run and the version of the program, as labels; always 1",
        {
            "paper_user": state.spool.paper_user,
            "run_id": state.spool.run_id,
            "version": __version__,
        },
    )
    began = state.started_at.timestamp()
    yield gauge("streamer_start_time_seconds", "Unix time at which the run began", began, "seconds")
    yield gauge(
        "clock_offset_seconds",
        "Own clock minus that of the gateway's heartbeats, by the fastest heartbeat of ten minutes "
        "(its way is in it); absent when none came",
        state.clock_offset(),
        "seconds",
    )


def _session(state: StreamerState) -> Iterator[Metric]:
    assignment, capability = state.assignment.assignment, state.capability
    pod = state.judge().state
    yield state_set("pod_state", "1 for the pod's state, 0 for all others", "state", PodState, pod)
    yield gauge("connected", "1 while the websocket is open, else 0", float(state.connected))
    yield counter("connections", "Websocket connections that were opened", state.connections)
    yield gauge(
        "assignment_generation",
        "Generation of the assignment that is followed; absent when none is known",
        None if assignment is None else assignment.generation,
    )
    yield state_set(
        "capability_mode",
        "1 for what a further ladder does to the open ones of this session; absent when unproven",
        "mode",
        LadderMode,
        None if capability is None else capability.mode,
    )
    yield gauge(
        "capability_ladders",
        "Ladders that the session has proven to hold at a time, at least; absent when unproven",
        None if capability is None else capability.ladders,
    )


def _frames(state: StreamerState) -> Iterator[Metric]:
    counts, traffic = state.counts(), state.traffic
    topics = traffic.frames
    yield counters("frames_received", "Websocket messages received, by topic", "topic", topics)
    yield counters(
        "received_bytes",
        "Bytes of the websocket messages received, by topic",
        "topic",
        traffic.bytes,
        "bytes",
    )
    yield counter("frames_spooled", "Frames that are complete in the spool", counts.spooled)
    yield counter("frames_stored", "Frames of this run that ClickHouse acknowledged", counts.stored)
    yield counters(
        "frames_lost",
        "Frames that were received and could not be spooled, by cause",
        "cause",
        {cause.value: state.journal.lost_by[cause] for cause in LOSS_CAUSES},
    )
    yield counters(
        "frames_undecodable",
        "Frames that could not be read, by reason (they are kept all the same)",
        "reason",
        state.tracker.undecodable,
    )


def _disk(state: StreamerState) -> Iterator[Metric]:
    disk, backlog = state.spool.room.health(), state.backlog
    yield gauge(
        "spool_used_bytes",
        "Bytes of the spool's budget that are used: what waits to be loaded, torn tails, "
        "quarantine",
        disk.used_bytes,
        "bytes",
    )
    yield gauge(
        "spool_budget_bytes",
        "Bytes of the disk that the spool may use; at 80 % it is time to look, at 100 % frames are "
        "lost",
        disk.budget_bytes,
        "bytes",
    )
    yield gauge(
        "spool_kept_bytes",
        "Bytes of loaded segments that are kept for a while, as of the last second; they make room",
        disk.kept_bytes,
        "bytes",
    )
    yield gauge(
        "quarantined_batches",
        "Batches that ClickHouse refused for their content and that wait for a person; absent "
        "before the spool was read",
        None if backlog is None else backlog.quarantined_batches,
    )


def _spool(state: StreamerState) -> Iterator[Metric]:
    backlog, written = state.backlog, state.spool.bytes_written
    # Nothing waits, then nothing is late: that is known, unlike a spool that was not read yet.
    lag = None if backlog is None else backlog.lag_seconds or 0.0
    yield counter("spool_written_bytes", "Bytes written to the spool", written, "bytes")
    yield gauge(
        "spool_pending_bytes",
        "Bytes of the spool that ClickHouse has not acknowledged, as of the last second; absent "
        "before the spool was read",
        None if backlog is None else backlog.pending_bytes,
        "bytes",
    )
    yield gauge(
        "spool_lag_seconds",
        "Age of the oldest record that ClickHouse has not acknowledged, as of the last second; "
        "absent before the spool was read",
        lag,
        "seconds",
    )
    yield counter(
        "frames_recovered",
        "Frames of earlier runs that this run has brought into ClickHouse",
        0 if backlog is None else backlog.recovered_frames,
    )
    yield state_set(
        "loader_state",
        "1 for the loader's state, 0 for all others, as of the last second",
        "state",
        LOADER_STATES,
        state.loading,
    )


def _contracts(state: StreamerState) -> Iterator[Metric]:
    now, tracked = state.clocks.seconds(), state.tracker.contracts
    contracts = state.tracker.health(now, state.clocks.utc())
    yield _contract_states(contracts)
    yield gauges(
        "contract_last_frame_age_seconds",
        "Age of the contract's newest ladder frame that could be read; absent when there was none",
        "contract",
        {
            key: None if contract.last_frame is None else max(0.0, now - contract.last_frame)
            for key, contract in tracked.items()
        },
        "seconds",
    )
    yield _contract_counter("epochs", "Epochs of the contract's book", contracts, "epoch")
    yield _contract_counter(
        "ladder_frames", "Ladder frames of the contract", contracts, "ladder_frames"
    )
    yield _contract_counter(
        "crossed_states", "Crossed states of the contract's book", contracts, "crossed"
    )


def _contract_states(contracts: dict[str, ContractHealth]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        name_of("contract_state"),
        "1 for the state of the contract's ladder, 0 for all others",
        labels=["contract", "state"],
    )
    for key, contract in contracts.items():
        for state in ContractState:
            family.add_metric([key, state.value], float(contract.state is state))
    return family


def _contract_counter(
    name: str, meaning: str, contracts: dict[str, ContractHealth], field: str
) -> CounterMetricFamily:
    values = {key: getattr(contract, field) for key, contract in contracts.items()}
    return counters(f"contract_{name}", meaning, "contract", values)
