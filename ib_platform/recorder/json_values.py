"""Where the strings and numbers of a JSON text stand, and under which key. PURE.

Masking replaces single values and must leave every other byte as it came: odd spacing, escapes,
doubled keys. So the text is not decoded and encoded again, it is patched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[{}\[\],]|true|false|null',
    re.DOTALL,
)
_COLON = re.compile(r"\s*:")


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A string or number as it stands at ``text[start:end]``. ``keys``: the keys above it,
    outermost first; an element of a list has the keys of its list. ``is_key``: it is a key
    itself."""

    start: int
    end: int
    token: str
    keys: tuple[str, ...]
    is_key: bool

    @property
    def is_string(self) -> bool:
        return self.token.startswith('"')


def json_values(text: str) -> Iterator[JsonValue]:
    """All strings and numbers of a text that is valid JSON, keys included, in order."""
    above: list[tuple[str, ...]] = []
    """Keys above each open object or list."""
    keys: tuple[str, ...] = ()
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            above.append(keys)
        elif token in "}]":
            keys = above.pop()
        elif token == "," and above:
            keys = above[-1]
        elif token.startswith('"') and _COLON.match(text, match.end()):
            yield JsonValue(match.start(), match.end(), token, above[-1], is_key=True)
            keys = (*above[-1], json.loads(token))
        elif token.startswith('"') or token[0] in "-0123456789":
            yield JsonValue(match.start(), match.end(), token, keys, is_key=False)
