"""What running pods say about themselves. Nothing is asked of a gateway: its session belongs to the
supervisor, and its requests are counted."""

from __future__ import annotations

from collections.abc import Iterator

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.doctor.finding import Finding, ok, problem, warning
from ib_platform.fleet.probe import ask_health
from ib_platform.gateway.program import port_is_free
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.states import ContractState, PodState

PODS = "pods"
_IN_WORDS = {
    PodState.STARTING: "is starting",
    PodState.DOWN: "has no gateway program that answers",
    PodState.NO_SSO: "is not logged in",
    PodState.SSO_ONLY: "is logged in without a brokerage session",
    PodState.AUTHENTICATED: "has its session and does not stream",
    PodState.STREAMING: "streams",
    PodState.COMPETING: "gave its session to another login of the same user",
    PodState.PENALTY: "is in IBKR's penalty box and asks nothing",
    PodState.MAINTENANCE: "waits for the end of IBKR's maintenance",
    PodState.LOCKED: "logs in no more until a person unlocks it",
    PodState.REFUSED_LIVE: "refused a login that is not provably paper",
}
_PASSING = (PodState.STARTING, PodState.MAINTENANCE, PodState.AUTHENTICATED)
_REMEDIES = {
    PodState.LOCKED: "Find out why logins failed, then run `ib-platform unlock NAME`.",
    PodState.REFUSED_LIVE: "Correct the username and the account; live logins are never used.",
    PodState.COMPETING: "End the other login of this user, or see gateway.session.competing.",
}
_BAD_LADDERS = (ContractState.NO_DATA, ContractState.SILENT)


def check_pods(config: PlatformConfig) -> Iterator[Finding]:
    """State and alarm of each pod's two processes, from their own ``/status``."""
    for user in config.paper_users:
        yield from _gateway(user, config.limits.health_timeout)
        yield from _streamer(user, config.limits.health_timeout)


def _gateway(user: PaperUser, timeout: float) -> Iterator[Finding]:
    who = f"gateway of {user.name}"
    port = user.gateway_health_port
    health = None if port_is_free(port) else ask_health(port, GatewayHealth, timeout)
    if not isinstance(health, GatewayHealth):
        yield _silent(who, health)
        return
    yield _state(who, health, user, well=(PodState.STREAMING, PodState.AUTHENTICATED))
    if health.alarm:
        yield problem(PODS, f"{who} raises an alarm: {health.alarm}", "A person has to look at it.")


def _streamer(user: PaperUser, timeout: float) -> Iterator[Finding]:
    who = f"streamer of {user.name}"
    port = user.health_port
    health = None if port_is_free(port) else ask_health(port, StreamerHealth, timeout)
    if not isinstance(health, StreamerHealth):
        yield _silent(who, health)
        return
    yield _state(who, health, user, well=(PodState.STREAMING,))
    for key, contract in sorted(health.contracts.items()):
        if contract.state in _BAD_LADDERS:
            why = contract.reason or "no reason is known"
            remedy = (
                "See the reason; `ib-platform doctor` again in a minute shows whether it heals."
            )
            yield problem(PODS, f"{who}: {key} is {contract.state.value}: {why}", remedy)
    if health.loader.last_error is not None:
        text = f"{who} cannot load into ClickHouse: {health.loader.last_error}"
        yield problem(PODS, text, "See the check of ClickHouse; frames wait in the spool.")


def _silent(who: str, why: object) -> Finding:
    if why is None:
        return ok(PODS, f"{who}: not running")
    return problem(PODS, f"{who}: {why}", "Its log says more; restart the pod if it hangs.")


def _state(
    who: str,
    health: GatewayHealth | StreamerHealth,
    user: PaperUser,
    well: tuple[PodState, ...],
) -> Finding:
    if health.paper_user != user.name:
        name = health.paper_user
        text = f"{who}: the pod of {name} answers there, perhaps one of another configuration"
        return problem(PODS, text, "Give the two configurations different ports.")
    state = health.state
    text = f"{who} {_IN_WORDS[state]} ({state.value}: {health.reason})"
    if state in well:
        return ok(PODS, text)
    remedy = _REMEDIES.get(state, "It tries by itself; look again, and at its log, if this stays.")
    return (warning if state in _PASSING else problem)(PODS, text, remedy)
