"""Whether a streamer that answers does its work: ladders come in, rows get out. Pure.

Neither is a reason to restart anything: the streamer subscribes again by itself, and rows wait in
the spool until ClickHouse takes them.
"""

from __future__ import annotations

from textwrap import shorten

from ib_platform.health import LoaderHealth, SpoolHealth, StreamerHealth
from ib_platform.states import ContractState, PodState, SpoolFill

_LONGEST_ERROR = 300
WELL = frozenset({ContractState.LIVE, ContractState.WARMING_UP, ContractState.MARKET_CLOSED})
SESSION_UP = frozenset({PodState.AUTHENTICATED, PodState.STREAMING})
"""States in which ladders can come."""


def not_streaming(health: StreamerHealth, spare: bool = False) -> str | None:
    """Why not every assigned contract is recorded, in words; None when each one is.

    ``spare``: the plan gives this pod no contract, so that none needs to stream. Contracts that
    have moved to another pod do not count.
    """
    assigned = {
        key: contract.state
        for key, contract in health.contracts.items()
        if contract.state is not ContractState.NOT_ASSIGNED
    }
    if spare and not assigned and health.state in SESSION_UP:
        return None
    ill = [f"{key} {state.value}" for key, state in sorted(assigned.items()) if state not in WELL]
    if health.state is PodState.STREAMING and not ill:
        return None
    reason = f" ({health.reason})" if health.reason else ""
    return f"{health.state.value}{reason}" + (f": {', '.join(ill)}" if ill else "")


def loading_troubles(health: StreamerHealth | None, lag_limit: float) -> dict[str, str]:
    """Why recorded rows do not reach ClickHouse, and what follows, in words, by kind of trouble;
    empty when they do, or nobody knows.

    ``lag_limit``: seconds that the oldest row may wait.
    """
    if health is None:
        return {}
    told = {
        "behind": _behind(health.loader, lag_limit),
        "full": _full(health.spool),
        "refused": _refused(health.loader, health.paper_user),
    }
    return {kind: words for kind, words in told.items() if words is not None}


def _full(spool: SpoolHealth) -> str | None:
    if spool.fill is SpoolFill.WELL:
        return None
    share = spool.used_bytes / spool.budget_bytes
    lost = "frames are lost" if spool.fill is SpoolFill.SPENT else "at 100 % frames are lost"
    return f"the spool has used {share:.0%} of its budget (limits.spool_bytes): {lost}"


def _refused(loader: LoaderHealth, paper_user: str) -> str | None:
    count = loader.quarantined_batches
    if count == 0:
        return None
    batches = "1 batch" if count == 1 else f"{count} batches"
    why = ""
    if loader.quarantined_since is not None and loader.quarantined_error:
        error = shorten(loader.quarantined_error, _LONGEST_ERROR, placeholder=" ...")
        why = f" (since {loader.quarantined_since:%Y-%m-%d %H:%M:%S} UTC: {error})"
    return (
        f"ClickHouse has refused {batches} for the content{why}, set aside in the quarantine: see "
        f"`ib-platform spool ls --paper-user {paper_user}`, cure it, then "
        f"`ib-platform spool resend --paper-user {paper_user}`"
    )


def _behind(loader: LoaderHealth, lag_limit: float) -> str | None:
    lag = loader.lag_seconds
    late = lag is not None and lag > lag_limit
    if loader.state != "blocked" and not late:
        return None
    waits = "" if lag is None else f", the oldest row waits for {lag:.0f} s"
    error = f": {loader.last_error}" if loader.last_error else ""
    return (
        f"ClickHouse does not take the rows (loader {loader.state}{waits}){error}; "
        "they are kept in the spool, look at ClickHouse"
    )
