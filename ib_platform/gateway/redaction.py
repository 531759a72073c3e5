"""Secrets taken out of a text. PURE.

A text that comes from the page or from Playwright passes through here before anybody sees it:
Playwright writes what it filled in into its error messages.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

_MARKERS = ("<removed>", "\N{FULL BLOCK}", "\N{WHITE SQUARE}", "")


class Redactor:
    """Knows the secrets, and shows them in no ``repr``. Case does not matter, nor how a secret is
    spaced, nor whether it is written as in a URL, in HTML or in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret.strip() for form in _forms(secret)}
        self._patterns = [_pattern(form) for form in forms]

    def __call__(self, text: str) -> str:
        """``text`` with a marker in place of each secret. No secret is in the result."""
        spans = _merged(span for pattern in self._patterns for span in _spans(pattern, text))
        for marker in _MARKERS:
            result = _replaced(text, spans, marker)
            # A marker can itself contain a short secret, or complete one with its neighbours.
            if not any(pattern.search(result) for pattern in self._patterns):
                return result
        return ""


def first_line(error: BaseException) -> str:
    """Type and first line of an error; what Playwright logs of a call, comes after that line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _forms(secret: str) -> tuple[str, ...]:
    return (
        secret,
        html.escape(secret),
        html.escape(secret, quote=False),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    )


def _pattern(form: str) -> re.Pattern[str]:
    # A page shows any run of white space as one space; a look-ahead finds overlapping matches.
    words = r"\s+".join(re.escape(word) for word in form.split())
    return re.compile(f"(?=({words}))", re.IGNORECASE)


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in pattern.finditer(text))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _replaced(text: str, spans: list[tuple[int, int]], marker: str) -> str:
    pieces: list[str] = []
    done = 0
    for begin, end in spans:
        pieces += [text[done:begin], marker]
        done = end
    return "".join([*pieces, text[done:]])
