"""Kinds of faults of logins, brokerage sessions and the login page."""

from __future__ import annotations

from ib_platform.simulator.fault_spec import FaultKind, FaultSpec, Parameter, Specs, Subject

_SESSION, _PAGE = Subject.SESSION, Subject.LOGIN_PAGE

SPECS: Specs = {
    FaultKind.LOGIN_LOST: FaultSpec(
        _SESSION,
        "12",
        "The SSO login is gone: 401 with an empty body until somebody logs in again.",
        "After about 24 hours, or when IBKR ends the login, every call of the gateway is answered "
        "401. Only the login page brings it back.",
        instant=True,
    ),
    FaultKind.BROKERAGE_LOST: FaultSpec(
        _SESSION,
        "2",
        "The brokerage session ends, the login stays: authenticated false, ladders stop.",
        "The websocket stays open and says authenticated false, piece by piece; `/iserver` answers "
        "no bridge. ssodh/init or reauthenticate brings it back.",
        instant=True,
    ),
    FaultKind.AUTHENTICATION_STUCK: FaultSpec(
        _SESSION,
        "1",
        "Sessions stay connected and unauthenticated, whatever is asked for.",
        "The commonest complaint: logged in, the page said success, and auth/status says "
        "authenticated false for minutes or hours. Nothing that a client sends helps.",
        parameters={
            "message": Parameter("", "what `message` of auth/status and sts says"),
            "fail": Parameter("", "what `fail` says"),
        },
    ),
    FaultKind.INIT_REFUSED: FaultSpec(
        _SESSION,
        "1",
        "ssodh/init is answered with an error, and reauthenticate does nothing.",
        "IBKR's back end is stuck: ssodh/init gives 503 (or 500) until it has recovered.",
        parameters={"status": Parameter(503, "HTTP status of ssodh/init", least=400, most=599)},
    ),
    FaultKind.NO_BRIDGE: FaultSpec(
        _SESSION,
        "8",
        "Every `/iserver` call is answered 400 no bridge, though auth/status says authenticated.",
        "Seen for some seconds after ssodh/init, when the session already counts as authenticated. "
        "A client has to try again.",
    ),
    FaultKind.SSO_NOT_VALID: FaultSpec(
        _SESSION,
        "2",
        "sso/validate says RESULT false; nothing else changes.",
        "The SSO login is about to be gone: IBKR says so here before other calls are answered 401.",
    ),
    FaultKind.NO_SESSION_TEXT: FaultSpec(
        _SESSION,
        "2",
        'Without a login the answer is 200 `{"error":"no session"}` instead of 401.',
        "Some gateways say so with status 200: whoever looks at the status alone believes to be "
        "logged in.",
    ),
    FaultKind.COMPETING_LOGIN: FaultSpec(
        _SESSION,
        "6",
        "Another device takes the brokerage session: authenticated false, competing true.",
        "Somebody has opened TWS or the phone app with the same username. Taking the session back "
        "throws the other one out, which may take it back in turn.",
        instant=True,
        parameters={
            "retakes": Parameter(0, "how often the other device takes it back", least=0, most=1000),
            "every": Parameter(60.0, "seconds until it takes it back", least=0.1),
            "stays": Parameter(0.0, "seconds until it leaves by itself; 0 = never", least=0),
            "authenticated": Parameter(
                "no", "what the loser's auth/status goes on saying", choices=("no", "yes")
            ),
        },
    ),
    FaultKind.SESSION_ID_CHANGED: FaultSpec(
        _SESSION,
        "also",
        "tickle names another session id from now on.",
        "After a new login behind the client's back the id is another one, and a websocket that "
        "was opened with the old one should be opened again.",
        instant=True,
    ),
    FaultKind.USER_LOCKED: FaultSpec(
        _SESSION,
        "13",
        "The login page refuses the right password too, for the life of the simulator.",
        "After some wrong passwords in a row IBKR locks the user; it takes a call to IBKR to "
        "unlock it. Every further attempt makes it worse.",
        instant=True,
    ),
    FaultKind.LOGIN_PAGE: FaultSpec(
        _PAGE,
        "3",
        "The login page has other elements, or asks for a second factor.",
        "IBKR changes the page a few times a year; a browser that looks for the old elements "
        "finds nothing. A second factor appears for users who were not asked before.",
        parameters={
            "generation": Parameter("unchanged", "elements of it", ("first", "second", "third")),
            "second_factor": Parameter(
                "unchanged", "what it asks for", ("none", "totp", "push", "select")
            ),
        },
    ),
    FaultKind.LOGIN_FAILS: FaultSpec(
        _PAGE,
        "3, 15",
        "Every login ends with an error text, whatever the password; it does not count as wrong.",
        "The page says `failed`, or asks for the other login mode, because of trouble at IBKR. "
        "Trying again at once may end in a lock.",
        parameters={"text": Parameter("failed", "the text on the page")},
    ),
}
