"""Health of the streamer: the one place where its counters and its state come together."""

from __future__ import annotations

import os

from ib_platform.clocks import Clocks
from ib_platform.health import (
    ContractHealth,
    FrameCounts,
    LadderCapability,
    LoaderHealth,
    StreamerHealth,
)
from ib_platform.health_server import Probes
from ib_platform.ibkr.session import Judgement, cause_of
from ib_platform.states import ContractState, PodState, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher, Known
from ib_platform.streamer.clock_watch import ClockWatch
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import HeartbeatWatch
from ib_platform.streamer.tracker import Tracker
from ib_platform.streamer.traffic import Traffic

REMIND_EVERY = 12 * 3600.0


class StreamerState:
    """Session, connection and counters of one run. ``received`` counts every stamped frame.

    ``backlog``: what the loader said at the last look, of which there is one every second (a fresh
    one lists a folder); None before it has read the spool. ``loading``: its state at that look.
    """

    def __init__(
        self,
        spool: Spool,
        loader: Loader,
        watcher: AssignmentWatcher,
        tracker: Tracker,
        clocks: Clocks | None = None,
    ) -> None:
        self.clocks = clocks or Clocks()
        self.spool = spool
        self.journal = Journal(spool, self.clocks)
        self.heartbeats = HeartbeatWatch()
        self.clock_watch = ClockWatch(self.journal, self.heartbeats, self.clocks)
        self.tracker = tracker
        self.received = 0
        self.traffic = Traffic()
        self.backlog: LoaderHealth | None = None
        self.loading: str | None = None
        self.connections = 0
        self.connected = False
        self.capability: LadderCapability | None = None
        self._loader = loader
        self._watcher = watcher
        self._session = Judgement(PodState.STARTING, "the gateway has not been asked yet")
        self._judged = self._session
        self._session_told_at = self.clocks.seconds()
        self.started_at = self._since = self.clocks.utc()

    @property
    def session(self) -> Judgement:
        return self._session

    @property
    def assignment(self) -> Known:
        """What is known of the assignment."""
        return self._watcher.known

    def clock_offset(self) -> float | None:
        """Seconds; see ``StreamerHealth``."""
        return self.heartbeats.offset(self.clocks.monotonic())

    def session_is(self, judgement: Judgement) -> None:
        """Take newer evidence about the session; a change of its state becomes an event."""
        changed = judgement.state is not self._session.state
        self._session = judgement
        if changed:
            self._tell_session(judgement)

    def remind_of_session(self) -> None:
        """Repeat the event of a session that is down and stays so, now and then: who explains the
        gaps of a trade date looks back some days only."""
        since = self.clocks.seconds() - self._session_told_at
        if self._session.state is not PodState.AUTHENTICATED and since >= REMIND_EVERY:
            self._tell_session(self._session)

    def _tell_session(self, judgement: Judgement) -> None:
        good = judgement.state is PodState.AUTHENTICATED
        self._session_told_at = self.clocks.seconds()
        self.journal.event(
            StreamEventKind.SESSION_CHANGED,
            cause=None if good else cause_of(judgement.state),
            connection=self.connections,
            detail={"state": judgement.state.value, "reason": judgement.reason},
        )
        if not good:
            # The servers forget what was subscribed, over an open websocket too.
            self.tracker.disconnected()

    def judge(self) -> Judgement:
        """State of the pod now; remembers since when it holds."""
        judged = self.tracker.pod_state(
            self._session,
            connected=self.connected,
            waiting_for=self.assignment.problem,
            at=self.clocks.utc(),
            now=self.clocks.seconds(),
        )
        if (loss := self.journal.losing) is not None:
            losing = f"{loss.frames} frames are lost: {loss.error}"
            judged = Judgement(judged.state, f"{losing}; {judged.reason}")
        if judged.state is not self._judged.state:
            self._since = self.clocks.utc()
        self._judged = judged
        return judged

    def counts(self) -> FrameCounts:
        return FrameCounts(
            received=self.received,
            spooled=self.spool.frames_written,
            stored=self._loader.progress.stored,
            undecodable=self.tracker.undecodable.total(),
        )

    def health(self) -> StreamerHealth:
        """Answer of ``/status``."""
        judged = self.judge()
        known = self.assignment
        loader = self._loader.health()
        self.backlog = loader if self._loader.progress.knows_backlog else None
        self.loading = loader.state
        return StreamerHealth(
            paper_user=self.spool.paper_user,
            run_id=self.spool.run_id,
            pid=os.getpid(),
            state=judged.state,
            since=self._since,
            reason=judged.reason,
            started_at=self.started_at,
            frames=self.counts(),
            loader=loader,
            assignment_generation=known.assignment.generation if known.assignment else None,
            assignment_source=known.source,
            contracts=self._contracts(),
            capability=self.capability,
            spool=self.spool.room.health(),
            clock_offset_seconds=self.clock_offset(),
        )

    def _contracts(self) -> dict[str, ContractHealth]:
        contracts = self.tracker.health(self.clocks.seconds(), self.clocks.utc())
        if self._session.state is not PodState.AUTHENTICATED:
            for contract in contracts.values():
                if contract.state is ContractState.SILENT:
                    # What is known of the ladder explains nothing while the session is down.
                    contract.reason = f"the session is {self._session.state.value}"
        return contracts

    def probes(self) -> Probes:
        """``/startup`` and ``/live``: the event loop serves requests. ``/ready``: STREAMING."""
        return Probes(
            startup=lambda: True,
            live=lambda: True,
            ready=lambda: self.judge().state is PodState.STREAMING,
            status=self.health,
        )
