"""Which paper user streams which contract: rendezvous hashing with capacity. Pure.

Every contract ranks all paper users by a hash of both names and takes the first with a free slot.
Pinned contracts go first, then the more important ones (lower ``priority``), then by key. Nothing
depends on the order of the configuration or on the process that computes it. While slots are free
everywhere, adding or removing a contract moves no other, and removing a paper user moves only the
contracts that it held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError


@dataclass(frozen=True)
class Demand:
    """One ladder that wants a slot. Lower ``priority`` is more important."""

    contract: str
    calendar: str
    priority: int = 100
    pinned_to: str | None = None

    @property
    def rank(self) -> tuple[int, str]:
        """Sort key: the more important first."""
        return self.priority, self.contract


@dataclass(frozen=True)
class Assignment:
    """Parallel tuples in the order of the contract keys; one row of the table ``assignments``."""

    contracts: tuple[str, ...]
    paper_users: tuple[str, ...]
    calendars: tuple[str, ...]

    @property
    def content_hash(self) -> int:
        """UInt64 of the three tuples, the same in every process and on every machine."""
        content = msgspec.json.encode([self.contracts, self.paper_users, self.calendars])
        return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")

    def contracts_of(self, paper_user: str) -> tuple[str, ...]:
        """Contract keys that ``paper_user`` streams."""
        pairs = zip(self.contracts, self.paper_users, strict=True)
        return tuple(contract for contract, user in pairs if user == paper_user)


def plan_assignment(config: PlatformConfig) -> Assignment:
    """The assignment of a whole configuration.

    Raises:
        ConfigurationError: some contract finds no slot; the message says which and what would help.
    """
    demands = [
        Demand(key, contract.calendar.value, contract.priority, contract.paper_user)
        for contract in config.contracts
        for key in contract.keys
    ]
    return assign(demands, {user.name: user.depth_slots for user in config.paper_users})


def assign(demands: Iterable[Demand], slots: dict[str, int]) -> Assignment:
    """Give every demand a slot of one paper user.

    ``slots``: ladders that each paper user's session can hold.

    Raises:
        ConfigurationError: more demands than slots, altogether or for the pins of one paper user.
    """
    wanted = sorted(demands, key=lambda demand: demand.rank)
    _refuse_overfull_pins(wanted, slots)
    _refuse_too_many(wanted, slots)
    free = dict(slots)
    homes: dict[str, str] = {}
    for demand in sorted(wanted, key=lambda demand: demand.pinned_to is None):
        home = demand.pinned_to or _first_free(demand.contract, free)
        homes[demand.contract] = home
        free[home] -= 1
    calendars = {demand.contract: demand.calendar for demand in wanted}
    keys = tuple(sorted(homes))
    return Assignment(keys, tuple(homes[k] for k in keys), tuple(calendars[k] for k in keys))


def _first_free(contract: str, free: dict[str, int]) -> str:
    return max((user for user in free if free[user] > 0), key=lambda user: _score(contract, user))


def _score(contract: str, paper_user: str) -> tuple[bytes, str]:
    digest = blake2b(f"{contract}\n{paper_user}".encode(), digest_size=8).digest()
    return digest, paper_user


def _refuse_overfull_pins(wanted: list[Demand], slots: dict[str, int]) -> None:
    for user in sorted({demand.pinned_to for demand in wanted if demand.pinned_to is not None}):
        pinned = [demand.contract for demand in wanted if demand.pinned_to == user]
        if user not in slots:
            raise ConfigurationError(
                f"contracts {', '.join(pinned)} are pinned to the paper user {user!r}, "
                f"which does not exist; known: {', '.join(sorted(slots))}"
            )
        if len(pinned) > slots[user]:
            raise ConfigurationError(
                f"{len(pinned)} contracts are pinned to paper user {user!r}, which has "
                f"{slots[user]} slots (depth_slots). These fit: {_names(pinned[: slots[user]])}. "
                f"These do not: {_names(pinned[slots[user] :])}. Remove their `paper_user`, or "
                f"raise depth_slots where the session is known to hold more"
            )


def _refuse_too_many(wanted: list[Demand], slots: dict[str, int]) -> None:
    available = sum(slots.values())
    missing = len(wanted) - available
    if missing <= 0:
        return
    first = sorted(wanted, key=lambda demand: demand.pinned_to is None)
    names = [demand.contract for demand in first]
    held = ", ".join(f"{user} {count}" for user, count in sorted(slots.items()))
    raise ConfigurationError(
        f"{len(wanted)} contracts want a slot, {available} are available ({held}). "
        f"These fit, most important first: {_names(names[:available])}. "
        f"These do not: {_names(names[available:])}. Remove {missing} of them, or add paper users "
        f"or depth_slots for {missing} more"
    )


def _names(contracts: list[str]) -> str:
    return ", ".join(contracts) or "none"
