"""The health payloads of a pod: written by its two processes, read by sensors and people.

``GET /status`` of the streamer answers a ``StreamerHealth`` as JSON, of the gateway supervisor a
``GatewayHealth``. All instants are ISO 8601 UTC. Neither holds a secret.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ib_platform.states import ContractState, LadderMode, PodState, SpoolFill


class FrameCounts(msgspec.Struct):
    """Frames of this run: stamped, complete in the spool, acknowledged by ClickHouse."""

    received: int = 0
    spooled: int = 0
    stored: int = 0
    undecodable: int = 0


class LoaderHealth(msgspec.Struct):
    """``state``: idle, loading, retrying, or blocked. ``lag_seconds``: age of the oldest record
    that ClickHouse has not acknowledged, None when there is none; of the own run by the monotonic
    clock, of earlier ones by the wall clock, at least 0. ``quarantined_batches``: refused
    for their content, they wait for a person; ``quarantined_since`` and ``quarantined_error``: when
    the first of them was refused, and why, None for none."""

    state: str = "idle"
    last_error: str | None = None
    lag_seconds: float | None = None
    pending_bytes: int = 0
    recovered_frames: int = 0
    quarantined_batches: int = 0
    quarantined_since: datetime | None = None
    quarantined_error: str | None = None


class SpoolHealth(msgspec.Struct):
    """``used_bytes``: what is not loaded yet, torn tails and quarantine, of ``budget_bytes``.
    ``kept_bytes``: loaded segments, which make room. ``fill``: well, alarm (80 %) or spent."""

    used_bytes: int = 0
    kept_bytes: int = 0
    budget_bytes: int = 0
    fill: SpoolFill = SpoolFill.WELL


class ContractHealth(msgspec.Struct):
    """One contract's ladder in this run. ``reason``: why it is not LIVE, where more is known than
    the state says."""

    conid: int | None = None
    state: ContractState = ContractState.WARMING_UP
    epoch: int = 0
    ladder_frames: int = 0
    two_sided: int = 0
    crossed: int = 0
    last_frame_at: datetime | None = None
    reason: str | None = None


class LadderCapability(msgspec.Struct, frozen=True):
    """What the frames of a session have proven about several ladders at once.

    ``ladders``: how many it held at a time, at least. ``evidence``: what was seen, in words.
    """

    mode: LadderMode
    ladders: int
    concluded_at: datetime
    evidence: str


class StreamerHealth(msgspec.Struct):
    """Answer of the streamer's ``/status``. ``capability`` None: nothing is proven yet.

    ``clock_offset_seconds``: own clock minus that of the gateway's heartbeats, by the fastest of
    the last ten minutes (its way is in it); None: none came.
    """

    paper_user: str
    run_id: str
    pid: int
    state: PodState
    since: datetime
    reason: str
    started_at: datetime
    frames: FrameCounts
    loader: LoaderHealth
    assignment_generation: int | None
    assignment_source: str | None
    contracts: dict[str, ContractHealth]
    capability: LadderCapability | None = None
    spool: SpoolHealth = msgspec.field(default_factory=SpoolHealth)
    clock_offset_seconds: float | None = None


class GatewayHealth(msgspec.Struct):
    """Answer of the gateway supervisor's ``/status``.

    ``program_starts`` counts how often the gateway program was started. ``alarm``: what a person
    should look at. ``penalty_until``: no program of the pod asks anything before it.
    ``logins_in_a_day``: attempts of the last 24 hours. ``cures``: by kind, of this process.
    """

    paper_user: str
    pid: int
    state: PodState
    since: datetime
    reason: str
    program_pid: int | None
    program_starts: int
    alarm: str | None = None
    penalty_until: datetime | None = None
    logins_in_a_day: int = 0
    refused_logins: int = 0
    cures: dict[str, int] = {}
