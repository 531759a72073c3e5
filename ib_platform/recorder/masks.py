"""Names that stand for secrets: the same secret always gets the same one. PURE.

The first account becomes ``DU1000001``, the first username ``papera01``, and so on in the order in
which they were met. Masks keep the look of what they stand for, so that a masked message means the
same to a client.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ib_platform.recorder.secrets import Secret

_TEST_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_HOSTS = 254


def _address(number: int) -> str:
    """From the ranges that are reserved for documentation, then from a private one."""
    network, host = divmod(number - 1, _HOSTS)
    if network < len(_TEST_NETWORKS):
        return f"{_TEST_NETWORKS[network]}.{host + 1}"
    return f"10.{network // 256}.{network % 256}.{host + 1}"


_SHAPES: dict[Secret, Callable[[int], str]] = {
    Secret.ACCOUNT: lambda number: f"DU{1_000_000 + number}",
    Secret.USERNAME: lambda number: f"papera{number:02}",
    Secret.USER_ID: lambda number: f"{100_000_000 + number}",
    Secret.TOKEN: lambda number: f"{number:032}",
    Secret.MAC: lambda number: f"02:00:00:00:{number // 256:02X}:{number % 256:02X}",
    Secret.HARDWARE: lambda number: f"hardware{number:02}",
    Secret.ADDRESS: _address,
    Secret.ADDRESS6: lambda number: f"2001:db8::{number:x}",
    Secret.EMAIL: lambda number: f"person{number}@example.invalid",
    Secret.PERSON: lambda number: f"Person {number}",
    Secret.SERVER: lambda number: f"JifZ{number:05}",
}
_SPELLINGS: dict[Secret, Callable[[str], str]] = {
    Secret.ACCOUNT: str.upper,
    Secret.USERNAME: str.lower,
    Secret.EMAIL: str.lower,
    Secret.ADDRESS6: str.lower,
    Secret.MAC: lambda text: text.upper().replace("-", ":"),
}


class Masks:
    """The masks that were given out."""

    def __init__(self) -> None:
        self._given: defaultdict[Secret, dict[str, str]] = defaultdict(dict)
        self._all: set[str] = set()

    def of(self, kind: Secret, secret: str) -> str:
        """The mask of a secret, a new one if it was not met before."""
        spelling = _SPELLINGS.get(kind, str)(secret)
        given = self._given[kind]
        if spelling not in given:
            given[spelling] = _SHAPES[kind](len(given) + 1)
            self._all.add(given[spelling])
        return given[spelling]

    def __contains__(self, text: str) -> bool:
        """Whether this is a mask that was given out."""
        return text in self._all
