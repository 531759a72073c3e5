"""Masking: a message without its secrets, otherwise unchanged. PURE.

Two ways lead to a secret. The *key* that a value stands under tells what it is (``secrets``), and
what was seen there once is replaced wherever else it stands: topics, URLs, sentences. And a value
under any key may *look like* an account, an address, a token. Conids, prices and sizes look like
nothing of the kind. JSON is patched in place, so everything else keeps its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import quote

import msgspec

from ib_platform.recorder.json_values import JsonValue, json_values
from ib_platform.recorder.masks import Masks
from ib_platform.recorder.secrets import (
    NOT_A_USER_ID,
    PATTERNS,
    PLAIN_WORDS,
    Secret,
    is_really,
    kind_of_key,
    plain_key,
    random_piece,
)

_SHORTEST = 3
_UNBOUNDED_FROM = 6
_SMALLEST_NUMBER = 10_000
_ACCOUNT = re.compile(PATTERNS[Secret.ACCOUNT])
_LOOKS = {kind: re.compile(look) for kind, look in PATTERNS.items()}
_SHORTEST_LOOK = 6
_NAMED = re.compile(
    r"(?P<head>(?P<key>[A-Za-z][A-Za-z_-]{1,29})[\"']?\s*[:=]\s*[\"']?)"
    r"(?P<value>[^\"'&;,?/\s{}\[\]\\][^\"'&;,?\s{}\[\]\\]*)"
)
"""``name=value`` and the like in text that is no JSON, or no longer."""
_OF_TOPIC = {("system", "success"): Secret.USERNAME, ("tic", "id"): Secret.TOKEN}
_NEVER = re.compile(r"(?!)")


class Masker:
    """Masks of one recording. ``account`` and ``username`` are known from the configuration and get
    the first masks of their kinds."""

    def __init__(self, account: str, username: str) -> None:
        self._masks = Masks()
        self._known: dict[str, str] = {}
        self._pattern = _NEVER
        self.learn(Secret.ACCOUNT, account)
        self.learn(Secret.USERNAME, username)

    def learn(self, kind: Secret, secret: str) -> str:
        """From now on ``secret`` is masked wherever it stands, whatever is around it. Its mask."""
        known = self._known.get(secret.lower())
        if known is not None:
            return known
        mask = self._masks.of(kind, secret)
        self._known[secret.lower()] = mask
        self._known.setdefault(quote(secret, safe="").lower(), mask)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_literal, longest_first)), re.IGNORECASE)
        return mask

    def payload(self, payload: bytes) -> bytes:
        """A websocket message or an HTTP body, text or not."""
        text = payload.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def text(self, text: str) -> str:
        """A text, JSON or not. JSON stays JSON of the same structure."""
        if text.lstrip()[:1] in ("{", "["):
            masked = self._json(text)
            if masked is not None:
                return masked
        return self._plain(text)

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Names and values of a query."""
        return [(self._plain(name), self._value(kind_of_key(name), text)) for name, text in pairs]

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: self._value(kind_of_key(name), text) for name, text in headers.items()}

    def _json(self, text: str) -> str | None:
        """None: not JSON."""
        try:
            root = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        topic = root.get("topic") if isinstance(root, dict) else None
        values = list(json_values(text))
        kinds = [None if value.is_key else _kind(value, topic) for value in values]
        # All that can be learned first: a secret may stand before the key that tells it.
        for value, kind in zip(values, kinds, strict=True):
            if kind is not None:
                self._learn_value(kind, value)
        done, parts = 0, []
        for value, kind in zip(values, kinds, strict=True):
            parts += [text[done : value.start], self._token(value, kind)]
            done = value.end
        return "".join(parts) + text[done:]

    def _learn_value(self, kind: Secret, value: JsonValue) -> None:
        if value.is_string:
            content = msgspec.json.decode(value.token)
            if len(content) >= _SHORTEST and content.lower() not in PLAIN_WORDS:
                self.learn(_sharper(kind, content), content)
        elif _is_long_number(value.token):
            self.learn(Secret.USER_ID, value.token)

    def _token(self, value: JsonValue, kind: Secret | None) -> str:
        """What stands instead of a string or number of a JSON text."""
        if not value.is_string:
            contract = bool(value.keys) and plain_key(value.keys[-1]) in NOT_A_USER_ID
            return value.token if contract else self._known.get(value.token, value.token)
        content = msgspec.json.decode(value.token)
        masked = self._value(kind, content)
        return value.token if masked == content else json.dumps(masked)

    def _value(self, kind: Secret | None, content: str) -> str:
        if kind is None or not content or content.lower() in PLAIN_WORDS:
            return self.text(content)
        return self._known.get(content.lower()) or self._masks.of(_sharper(kind, content), content)

    def _plain(self, text: str) -> str:
        text = self._pattern.sub(self._replace_known, text)
        text = _NAMED.sub(self._replace_named, text)
        if len(text) >= _SHORTEST_LOOK:
            # One after the other: what only looks like a secret may still hold one.
            for kind, look in _LOOKS.items():
                text = look.sub(partial(self._replace_look, kind), text)
        return text

    def _replace_known(self, found: re.Match[str]) -> str:
        # Letters that have no lower case of their own are the rare second case.
        return self._known.get(found[0].lower()) or self._masks.of(Secret.PERSON, found[0])

    def _replace_named(self, found: re.Match[str]) -> str:
        value, tail, kind = found["value"], "", kind_of_key(found["key"])
        if kind is not Secret.TOKEN:
            # Parts of a topic end at a plus; tokens may hold one.
            value, plus, after = value.partition("+")
            tail = plus + after
        telling = kind is Secret.TOKEN or any(letter.isdigit() for letter in value)
        if kind is None or not telling or value in self._masks or len(value) < _SHORTEST:
            return found[0]
        return found["head"] + self._masks.of(_sharper(kind, value), value) + tail

    def _replace_look(self, kind: Secret, found: re.Match[str]) -> str:
        text = found[0]
        if text in self._masks or not is_really(kind, text):
            return text
        if kind is not Secret.TOKEN:
            return self._masks.of(kind, text)
        # Of a path or an assignment only what follows is the token.
        start = random_piece(text) or 0
        if not (text.startswith("/") or "=" in text[:start]):
            start = 0
        return text[:start] + self._masks.of(kind, text[start:])


def _kind(value: JsonValue, topic: object) -> Secret | None:
    """What the keys above a value tell. All that stands below a person is the person's."""
    if not value.keys:
        return None
    if isinstance(topic, str) and len(value.keys) == 1:
        special = _OF_TOPIC.get((topic, value.keys[0]))
        if special is not None:
            return special
    if any(kind_of_key(key) is Secret.PERSON for key in value.keys):
        return Secret.PERSON
    return kind_of_key(value.keys[-1])


def _sharper(kind: Secret, text: str) -> Secret:
    """Accounts have aliases, and addresses two lengths."""
    if kind is Secret.PERSON and _ACCOUNT.fullmatch(text):
        return Secret.ACCOUNT
    if kind is Secret.ACCOUNT and not any(letter.isdigit() for letter in text):
        return Secret.PERSON
    if kind is Secret.ADDRESS and ":" in text:
        return Secret.ADDRESS6
    return kind


def _literal(secret: str) -> str:
    """A long secret is found inside other words too; a short one or a number only by itself."""
    exact = re.escape(secret)
    if secret.isdigit():
        return rf"(?<![0-9.]){exact}(?![0-9]|\.[0-9])"
    if len(secret) >= _UNBOUNDED_FROM:
        return exact
    return rf"(?<![A-Za-z0-9]){exact}(?![A-Za-z0-9])"


def _is_long_number(token: str) -> bool:
    return token.isdigit() and int(token[:30]) >= _SMALLEST_NUMBER
