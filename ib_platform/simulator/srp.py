"""SRP-6a, by which the login page proves a password without sending it (RFC 5054, RFC 2945). Pure.

IBKR's page does an SRP exchange too, seen from outside as two ``POST /sso/Authenticator``. Which
group, hash and field names it uses is not known: group, hash and proofs here are our choice. The
arithmetic is the RFC's, and the page's JavaScript (``pages/srp.js``) does the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_SECRET_BITS = 256


@dataclass(frozen=True)
class Group:
    """A safe prime with its generator, and the hash that goes with them."""

    prime: int
    generator: int
    hash_name: str = "sha256"

    @property
    def width(self) -> int:
        """Bytes of a padded number."""
        return (self.prime.bit_length() + 7) // 8

    def pad(self, number: int) -> bytes:
        return number.to_bytes(self.width, "big")

    def digest(self, *parts: bytes) -> bytes:
        return hashlib.new(self.hash_name, b"".join(parts)).digest()

    def number(self, *parts: bytes) -> int:
        """The digest as a number."""
        return int.from_bytes(self.digest(*parts), "big")

    @property
    def multiplier(self) -> int:
        """``k`` of SRP-6a."""
        return self.number(self.pad(self.prime), self.pad(self.generator))

    def private_key(self, username: str, password: str, salt: bytes) -> int:
        """``x``: what the password becomes."""
        inner = self.digest(f"{username}:{password}".encode())
        return self.number(salt, inner)


# RFC 5054, appendix A, 2048 bits.
LOGIN_GROUP = Group(
    int(
        "AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050"
        "A37329CBB4A099ED8193E0757767A13DD52312AB4B03310DCD7F48A9DA04FD50"
        "E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B8"
        "55F97993EC975EEAA80D740ADBF4FF747359D041D5C33EA71D281E446B14773B"
        "CA97B43A23FB801676BD207A436C6481F1D2B9078717461A5B9D32E688F87748"
        "544523B524B0D57D5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6"
        "AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB6"
        "94B5C803D89F7AE435DE236D525F54759B65E372FCD68EF20FA7111F9E4AFF73",
        16,
    ),
    2,
)


class Server:
    """One exchange, from the server's side. ``public`` goes to the client with the salt.

    Raises:
        ValueError: ``client_public`` is 0 modulo the prime or out of range; whoever sends that
            wants to prove a password without knowing it.
    """

    def __init__(
        self,
        group: Group,
        *,
        username: str,
        password: str,
        salt: bytes,
        client_public: int,
        secret: int | None = None,
    ) -> None:
        if not 0 < client_public < group.prime:
            raise ValueError("A is out of range")
        secret = secrets.randbits(_SECRET_BITS) if secret is None else secret
        prime, generator = group.prime, group.generator
        verifier = pow(generator, group.private_key(username, password, salt), prime)
        self.public = (group.multiplier * verifier + pow(generator, secret, prime)) % prime
        sent = group.pad(client_public) + group.pad(self.public)
        mixed = client_public * pow(verifier, group.number(sent), prime)
        shared = group.digest(group.pad(pow(mixed, secret, prime)))
        self.expected = group.digest(sent, shared)
        """What a client that knows the password sends (``M1``)."""
        self.answer = group.digest(group.pad(client_public), self.expected, shared)
        """By which the server proves to it that it knows the password too (``M2``)."""

    def proves(self, proof: bytes) -> bool:
        return hmac.compare_digest(proof, self.expected)


class Client:
    """The same from the client's side: for clients without a browser, and for tests."""

    def __init__(
        self, group: Group, username: str, password: str, *, secret: int | None = None
    ) -> None:
        self._group = group
        self._username, self._password = username, password
        self._secret = secrets.randbits(_SECRET_BITS) if secret is None else secret
        self.public = pow(group.generator, self._secret, group.prime)

    def prove(self, salt: bytes, server_public: int) -> tuple[bytes, bytes]:
        """The proof to send, and the answer that the right server gives."""
        group = self._group
        key = group.private_key(self._username, self._password, salt)
        sent = group.pad(self.public) + group.pad(server_public)
        base = server_public - group.multiplier * pow(group.generator, key, group.prime)
        premaster = pow(base, self._secret + group.number(sent) * key, group.prime)
        shared = group.digest(group.pad(premaster))
        proof = group.digest(sent, shared)
        return proof, group.digest(group.pad(self.public), proof, shared)
