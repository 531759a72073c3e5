"""No secret is left in a text, whatever the secret and the text."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.gateway.redaction import Redactor, first_line

SECRETS = st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=3)
FEW_LETTERS = st.text(alphabet="ab<>mov \N{FULL BLOCK}", min_size=1).filter(str.strip)


@given(SECRETS, st.lists(st.text() | st.none(), max_size=6))
def test_a_secret_between_anything(secrets: list[str], around: list[str | None]) -> None:
    text = "".join(secrets[0] if piece is None else piece for piece in [None, *around])
    redacted = Redactor(secrets)(text)
    assert not any(secret in redacted for secret in secrets)


@given(st.lists(FEW_LETTERS, min_size=1, max_size=4), st.lists(FEW_LETTERS))
def test_secrets_that_overlap_and_look_like_the_marker(
    secrets: list[str], pieces: list[str]
) -> None:
    redacted = Redactor(secrets)("".join([*pieces, *secrets, *secrets]))
    assert not any(secret in redacted for secret in secrets)


@given(st.text(alphabet="pä:&<\"'/ %\\\n", min_size=3).filter(str.strip), st.text("xyz"))
def test_every_way_of_writing_it(secret: str, other: str) -> None:
    redact = Redactor([secret])
    for written in (
        html.escape(secret),
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.upper(),
    ):
        assert written not in redact(f"{other}{written}{other}")


@given(st.text("abc", min_size=1), st.text("xyz <>"))
def test_other_text_stays(secret: str, text: str) -> None:
    assert Redactor([secret])(text) == text


def test_a_page_shows_spaces_in_its_own_way() -> None:
    assert Redactor(["two  words "])("the Two\nWORDS of it") == "the <removed> of it"


@pytest.mark.parametrize("secrets", [[], [""], [" \n"]])
def test_nothing_to_hide(secrets: list[str]) -> None:
    assert Redactor(secrets)("a text") == "a text"


def test_secrets_are_in_no_repr() -> None:
    redact = Redactor(["hunter2"])
    assert "hunter2" not in repr(redact)


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\n one \n two")) == "ValueError: one "
    assert first_line(ValueError()) == "ValueError"
