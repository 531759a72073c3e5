"""Field 6509 in words."""

from __future__ import annotations

import pytest

from ib_platform.streamer.entitlement import read_availability, why_no_data, why_silent


@pytest.mark.parametrize(
    ("text", "timeliness", "flags", "real_time"),
    [
        ("RpB", "R", {"p", "B"}, True),
        ("RB", "R", {"B"}, True),
        ("RBp", "R", {"p", "B"}, True),
        ("DB", "D", {"B"}, False),
        ("N", "N", set(), False),
        ("ZB", "Z", {"B"}, False),
        ("Y", "Y", set(), False),
        ("O", "O", set(), False),
        ("i", "i", set(), False),
        ("?", "?", set(), False),
    ],
)
def test_first_character_then_a_set(
    text: str, timeliness: str, flags: set[str], real_time: bool
) -> None:
    availability = read_availability(text)
    assert availability is not None
    assert availability.timeliness == timeliness
    assert availability.flags == flags
    assert availability.real_time is real_time


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_said_is_nothing_known(text: str | None) -> None:
    assert read_availability(text) is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("DB", "delayed"),
        ("N", "not subscribed"),
        ("ZB", "frozen"),
        ("Y", "frozen and delayed"),
        ("i", "incomplete"),
        ("?", "unknown meaning"),
    ],
)
def test_no_data_is_explained_with_the_donor(text: str, meaning: str) -> None:
    availability = read_availability(text)
    assert availability is not None
    why = why_no_data(availability)
    assert f"6509 says {text} (" in why
    assert meaning in why
    assert "logged in on another device (phone, TWS)" in why


def test_a_missing_acknowledgement_has_its_own_cure() -> None:
    availability = read_availability("OB")
    assert availability is not None
    why = why_no_data(availability)
    assert "sign the yearly Market Data API acknowledgement" in why
    assert "phone" not in why


def test_a_silence_that_nothing_explains_says_what_is_known_and_what_is_not() -> None:
    assert "nothing tells why" in why_silent(None)
    assert "One possible cause: a paper user's data are those of its live user" in why_silent(None)
    known = why_silent(read_availability("RpB"))
    assert "RpB (real time)" in known
    assert "depth (L2) is not subscribed" in known
