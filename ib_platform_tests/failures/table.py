"""Failures of sessions and gateways, as data: tests play each one, docs/failures.md lists them.

Rows are those of the table of failure modes in the notes on IBKR's Web API (section 5). Failures of
streams are in ``table_of_streams``, those that only a person ends in ``table_of_logins``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ib_platform.simulator.fault_spec import FaultKind, Value
from ib_platform.states import Cause, ContractState, PodState, StreamEventKind


@dataclass(frozen=True)
class Failure:
    """One failure. ``state``: who tells what (the gateway's supervisor, the streamer, or the
    contract CL in it), and ``says``: a part of the reason that stands beside it. ``noticed``:
    seconds until that state is told, at most; None: nothing is lost, so nothing is to be noticed.
    ``lasts``: seconds of the fault; None: until its state is told, where it is none of an instant.
    ``together``: what happens with it. ``back``: seconds from its end until everything is live
    again, at most. ``cured_by``: in words. ``event`` and ``gap``: what the record says; None where
    nothing is lost. ``symbol``: it concerns this contract only, and the others lose nothing.
    ``limits``: of the configuration. ``slow``: played in ``make test-long`` only, since other tests
    have the most of it.
    """

    row: str
    what: str
    fault: FaultKind
    state: PodState | ContractState
    told_by: str
    noticed: float | None
    lasts: float | None
    back: float
    cured_by: str
    event: tuple[StreamEventKind, Cause] | None
    gap: Cause | None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    cures: frozenset[str] = frozenset()
    symbol: str | None = None
    says: str = ""
    together: tuple[FaultKind, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    slow: bool = False

    @property
    def name(self) -> str:
        details = "-".join(str(value) for value in self.parameters.values())
        return f"{self.fault.value}-{details}" if details else self.fault.value


_CHANGED, _GONE = StreamEventKind.SESSION_CHANGED, StreamEventKind.DISCONNECTED

OF_SESSIONS = (
    Failure(
        row="1",
        what="authenticated:false, again and again",
        fault=FaultKind.AUTHENTICATION_STUCK,
        state=PodState.SSO_ONLY,
        told_by="gateway",
        noticed=15,
        lasts=12,
        back=45,
        cured_by="ssodh/init, then reauthenticate, then a restart of the program, each bounded",
        event=(_CHANGED, Cause.SESSION_LOST),
        gap=Cause.SESSION_LOST,
        cures=frozenset({"initialise"}),
    ),
    Failure(
        row="1",
        what="the brokerage session is dropped",
        fault=FaultKind.BROKERAGE_LOST,
        state=PodState.SSO_ONLY,
        told_by="gateway",
        noticed=15,
        lasts=None,
        back=45,
        cured_by="ssodh/init",
        event=(_CHANGED, Cause.SESSION_LOST),
        gap=Cause.SESSION_LOST,
        cures=frozenset({"initialise"}),
    ),
    Failure(
        row="1, 12",
        what="the login is gone (401)",
        fault=FaultKind.LOGIN_LOST,
        state=PodState.NO_SSO,
        told_by="gateway",
        noticed=15,
        lasts=None,
        back=60,
        cured_by="a login, within the limits of an hour and a day",
        event=(_CHANGED, Cause.SESSION_LOST),
        gap=Cause.SESSION_LOST,
        cures=frozenset({"log_in"}),
    ),
    Failure(
        row="6",
        what="another login of this user takes the session",
        fault=FaultKind.COMPETING_LOGIN,
        state=PodState.COMPETING,
        told_by="gateway",
        noticed=15,
        lasts=None,
        back=60,
        cured_by="waiting (competing: yield) until the other ends, then ssodh/init",
        event=(_CHANGED, Cause.COMPETING_LOGIN),
        gap=Cause.COMPETING_LOGIN,
        parameters={"stays": 12.0},
        cures=frozenset({"initialise"}),
    ),
    Failure(
        row="8",
        what="after a login, 400 `no bridge` for every call of /iserver",
        fault=FaultKind.NO_BRIDGE,
        together=(FaultKind.LOGIN_LOST,),
        state=PodState.SSO_ONLY,
        told_by="gateway",
        says="has not said yet whether the login is paper",
        noticed=45,
        lasts=None,
        back=60,
        cured_by="the proof that the login is paper is asked for again every second; no ladder "
        "is requested before it",
        event=(_CHANGED, Cause.SESSION_LOST),
        gap=Cause.SESSION_LOST,
        cures=frozenset({"log_in"}),
        slow=True,
    ),
)

OF_GATEWAYS = (
    Failure(
        row="12",
        what="nobody listens on the gateway's port",
        fault=FaultKind.GATEWAY_DOWN,
        state=PodState.DOWN,
        told_by="gateway",
        noticed=15,
        lasts=8,
        back=60,
        cured_by="a new start of the program, with backoff",
        event=(_GONE, Cause.GATEWAY_DIED),
        gap=Cause.GATEWAY_DIED,
    ),
    Failure(
        row="12",
        what="the gateway accepts connections and answers nothing",
        fault=FaultKind.GATEWAY_HANGS,
        state=PodState.DOWN,
        told_by="gateway",
        noticed=40,
        lasts=45,
        back=60,
        cured_by="after 60 s a restart of the program, bounded; here it answers again before",
        event=(_GONE, Cause.DISCONNECTED),
        gap=Cause.GATEWAY_DIED,
    ),
    Failure(
        row="4",
        what="Access Denied: ips.allow does not name us",
        fault=FaultKind.ACCESS_DENIED,
        state=PodState.DOWN,
        told_by="gateway",
        noticed=15,
        lasts=12,
        back=45,
        cured_by="conf.yaml is ours and allows 127.0.0.1; the reason names ips.allow",
        event=None,
        gap=None,
    ),
    Failure(
        row="5",
        what="503 on every call (maintenance)",
        fault=FaultKind.MAINTENANCE,
        state=PodState.MAINTENANCE,
        told_by="gateway",
        noticed=20,
        lasts=12,
        back=60,
        cured_by="waiting; nothing is restarted",
        event=(_GONE, Cause.MAINTENANCE),
        gap=Cause.MAINTENANCE,
        parameters={"latency": 0.5},
    ),
    Failure(
        row="9",
        what="429: the penalty box",
        fault=FaultKind.PENALTY_BOX,
        state=PodState.PENALTY,
        told_by="gateway",
        noticed=15,
        lasts=None,
        back=60,
        cured_by="no request of either program for the pause, then one tickle; the websocket stays",
        event=None,
        gap=None,
    ),
)
