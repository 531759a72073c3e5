"""Spans of time as people write them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ib_platform.simulator.durations import Duration

SPAN: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(0, 0), (90, 90), (1.5, 1.5), ("90", 90), ("90s", 90), (" 5 m ", 300), ("1.5h", 5400),
     ("2d", 172_800), ("0s", 0)],
)  # fmt: skip
def test_what_people_write(written: object, seconds: float) -> None:
    assert SPAN.validate_python(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "-5s", "5 minutes", "s", "1e3", "٣s", "1:30", "nan", -1, True, None, [], float("inf")],
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValidationError):
        SPAN.validate_python(written)


def test_the_refusal_shows_how_to_write_it() -> None:
    with pytest.raises(ValidationError, match="write seconds, or like 90s, 5m, 1h"):
        SPAN.validate_python("soon")


@given(st.integers(0, 10**6), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]))
def test_units(count: int, unit: tuple[str, int]) -> None:
    assert SPAN.validate_python(f"{count}{unit[0]}") == count * unit[1]


@given(st.text(max_size=12) | st.binary(max_size=4) | st.booleans().map(str))
def test_nonsense_never_takes_it_down(written: Any) -> None:
    with contextlib.suppress(ValidationError):
        assert SPAN.validate_python(written) >= 0
