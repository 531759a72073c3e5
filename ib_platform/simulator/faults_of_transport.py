"""Kinds of faults of websockets, of the gateway program and of HTTP."""

from __future__ import annotations

from ib_platform.simulator.fault_spec import FaultKind, FaultSpec, Parameter, Specs, Subject

_SOCKET, _GATEWAY = Subject.WEBSOCKET, Subject.GATEWAY
_LATENCY = "simulated seconds before the answer"

HTTP_BODIES = {
    "empty": None,
    "error": "There was an error processing the request. Please try again.",
    "unknown": "unknown",
    "init_first": "Init session first",
}
"""Texts under the key ``error`` (Web API page, section 2.4)."""

SPECS: Specs = {
    FaultKind.WEBSOCKET_CLOSED: FaultSpec(
        _SOCKET,
        "2",
        "Open websockets are closed with a code; 1006 cuts the connection without one.",
        "IBKR or the gateway closes the websocket: 1000, 1001, 1006 and 1011 are seen. All "
        "subscriptions are forgotten with it.",
        instant=True,
        parameters={"code": Parameter(1001, "close code", least=1000, most=4999)},
    ),
    FaultKind.CLOSED_DURING_SEND: FaultSpec(
        _SOCKET,
        "11",
        "The next message of a client is answered with a close.",
        "The session ended while the client was sending, often just when it subscribes again; "
        "a client that keeps the old socket sends into nothing for ever.",
        parameters={"code": Parameter(1011, "close code", least=1000, most=4999)},
    ),
    FaultKind.HALF_OPEN: FaultSpec(
        _SOCKET,
        "2",
        "Websockets stay open and are dead: nothing comes, pings have no answer. Those that are "
        "opened meanwhile are dead too, and none of them comes back to life.",
        "A router has forgotten the connection, or a laptop slept: for TCP it is open, nothing "
        "will ever arrive. REST goes on.",
    ),
    FaultKind.NO_HEARTBEATS: FaultSpec(
        _SOCKET,
        "2",
        "The heartbeats (hb) stop; everything else goes on.",
        "The heartbeat every 10 s is the only proof that a quiet websocket lives. Clients should "
        "reconnect after some 20 s without one.",
    ),
    FaultKind.HEARTBEAT_SKEW: FaultSpec(
        _SOCKET,
        "also",
        "The times inside the heartbeats are off.",
        "Clocks differ: of the server, or of the machine that receives. Late frames cannot be told "
        "from a wrong clock by one heartbeat.",
        parameters={
            "skew": Parameter(30.0, "seconds ahead; negative is behind", least=-1e6, most=1e6)
        },
    ),
    FaultKind.TEXT_FRAMES: FaultSpec(
        _SOCKET,
        "also",
        "Messages come as text frames instead of binary ones.",
        "The gateway program sends binary frames; clients that talk to IBKR without it get text. "
        "Both hold the same JSON.",
    ),
    FaultKind.GATEWAY_DOWN: FaultSpec(
        _GATEWAY,
        "12",
        "The port refuses connections and open ones are cut, until the fault ends. Without a user "
        "it concerns all gateways and the upstream port.",
        "The gateway program has crashed, is being restarted, or has let go of its port after "
        "about a day. A new program has no login; whether one comes back logged in depends on who "
        "logs in again.",
        parameters={
            "login": Parameter("kept", "what becomes of its login", choices=("kept", "lost"))
        },
    ),
    FaultKind.GATEWAY_HANGS: FaultSpec(
        _GATEWAY,
        "12",
        "Connections are accepted, and no call is answered until the fault ends.",
        "The Java process is alive and hangs; only a time limit of the client's own tells.",
    ),
    FaultKind.SLOW_ANSWERS: FaultSpec(
        _GATEWAY,
        "12",
        "Every answer comes late, and is right.",
        "At market opens and around the nightly reset calls take seconds.",
        parameters={"latency": Parameter(10.0, _LATENCY, least=0, most=86_400)},
    ),
    FaultKind.HTTP_ERROR: FaultSpec(
        _GATEWAY,
        "5",
        "Calls are answered with an HTTP error, with one of IBKR's bodies or none.",
        "500 and 503 come from IBKR's servers one call at a time, with no pattern: 503 mostly with "
        "nothing in it, 500 with an error or `unknown`; 400 says `Init session first` now and "
        "then.",
        parameters={
            "status": Parameter(503, "HTTP status", least=400, most=599),
            "latency": Parameter(0.0, _LATENCY, least=0, most=86_400),
            "body": Parameter("empty", "what is in it", choices=tuple(HTTP_BODIES)),
            "path": Parameter("/", "only calls whose path begins so, like /iserver/"),
        },
    ),
    FaultKind.MAINTENANCE: FaultSpec(
        _GATEWAY,
        "5",
        "Every call is answered with an error after a long wait, websockets are closed.",
        "Every night for minutes, and on Saturday evening for hours, IBKR's servers are away: "
        "503 with nothing in it, some 10 s after the call.",
        parameters={
            "status": Parameter(503, "HTTP status", least=400, most=599),
            "latency": Parameter(10.0, _LATENCY, least=0, most=86_400),
        },
    ),
    FaultKind.ACCESS_DENIED: FaultSpec(
        _GATEWAY,
        "4",
        "Every call is answered with the text Access Denied.",
        "The caller's address is not in ips.allow of the gateway's conf.yaml, like that of a "
        "container network. Which status goes with the text is not documented.",
        parameters={"status": Parameter(403, "HTTP status", least=400, most=599)},
    ),
    FaultKind.PENALTY_BOX: FaultSpec(
        _GATEWAY,
        "9",
        "429 for everything, for `pacing.penalty` seconds of the behaviour.",
        "Too many requests, perhaps of another gateway behind the same public address: 10 to 15 "
        "minutes of 429, and repeat offenders stay blocked.",
        instant=True,
    ),
    FaultKind.REQUEST_LIMIT: FaultSpec(
        _GATEWAY,
        "9",
        "A lower limit of requests; who exceeds it, gets into the penalty box.",
        "The documented limit is 10 a second and gateway; some endpoints have lower ones.",
        parameters={"per_second": Parameter(1.0, "calls a second", least=0.001)},
    ),
    FaultKind.EMPTY_TICKLE: FaultSpec(
        _GATEWAY,
        "observed",
        "tickle is answered 200 with an empty body, or with fewer keys.",
        "An empty body was seen twice in some hundred calls of the recorded gateways; ssoExpires, "
        "collission and userId are missing at times.",
        parameters={"form": Parameter("empty", "what is left of it", choices=("empty", "sparse"))},
    ),
}
