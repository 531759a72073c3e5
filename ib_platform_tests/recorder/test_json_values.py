"""Where values stand in a JSON text: the same values that a decoder sees, at the right bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.recorder.json_values import json_values

TEXTS = st.text(max_size=6)
DOCUMENTS = st.recursive(
    st.one_of(
        TEXTS,
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=15,
)


def walked(value: Any, keys: tuple[str, ...] = ()) -> list[tuple[Any, tuple[str, ...], bool]]:
    """Keys, strings and numbers as a decoder sees them, in order."""
    if isinstance(value, dict):
        found: list[Any] = []
        for key, member in value.items():
            found += [(key, keys, True), *walked(member, (*keys, key))]
        return found
    if isinstance(value, list):
        return [each for member in value for each in walked(member, keys)]
    return [] if value is None or isinstance(value, bool) else [(value, keys, False)]


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_the_same_values_as_a_decoder(document: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    found = [(json.loads(v.token), v.keys, v.is_key) for v in json_values(text)]
    assert found == walked(json.loads(text))


@given(DOCUMENTS)
def test_every_value_stands_where_it_says(document: Any) -> None:
    text = json.dumps(document)
    rebuilt, done = "", 0
    for value in json_values(text):
        assert text[value.start : value.end] == value.token
        rebuilt += text[done : value.start] + value.token
        done = value.end
    assert rebuilt + text[done:] == text


def test_doubled_keys_are_both_seen() -> None:
    values = [value.token for value in json_values('{"a":1,"a":"2"}')]
    assert values == ['"a"', "1", '"a"', '"2"']
