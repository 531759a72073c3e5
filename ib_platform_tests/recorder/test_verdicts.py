"""Counts of frames in, one word out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.recorder.verdicts import (
    Again,
    Lifetime,
    SecondSocket,
    Several,
    Stopped,
    asked_again,
    lifetime,
    second_socket,
    several_ladders,
    stopped,
)

COUNTS = st.integers(0, 3)


@pytest.mark.parametrize(
    ("first_after", "second_after", "verdict"),
    [
        (9, 9, Several.MULTIPLEX),
        (0, 9, Several.REPLACE),
        (9, 0, Several.FIRST_WINS),
        (0, 0, Several.UNKNOWN),
    ],
)
def test_two_ladders(first_after: int, second_after: int, verdict: Several) -> None:
    found = several_ladders(first_before=1, first_after=first_after, second_after=second_after)
    assert found is verdict


@given(COUNTS, COUNTS)
def test_without_a_first_ladder_nothing_is_known(first_after: int, second_after: int) -> None:
    verdict = several_ladders(first_before=0, first_after=first_after, second_after=second_after)
    assert verdict is Several.UNKNOWN


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (0, 0, Stopped.UNKNOWN),
        (2, 0, Stopped.ALL),
        (2, 1, Stopped.SOME),
        (2, 2, Stopped.NONE),
        (1, 2, Stopped.NONE),
    ],
)
def test_unsubscribing(before: int, after: int, verdict: Stopped) -> None:
    assert stopped(before, after) is verdict


@pytest.mark.parametrize(
    ("began", "silent", "back", "verdict"),
    [
        (True, True, True, Lifetime.EXPIRED),
        (True, True, False, Lifetime.UNKNOWN),
        (True, False, False, Lifetime.OUTLIVED),
        (False, False, False, Lifetime.UNKNOWN),
        (False, True, True, Lifetime.UNKNOWN),
    ],
)
def test_a_lifetime(*, began: bool, silent: bool, back: bool, verdict: Lifetime) -> None:
    assert lifetime(began=began, fell_silent=silent, came_back_when_asked=back) is verdict


@pytest.mark.parametrize(
    ("frames", "full", "verdict"),
    [
        (0, 0, Again.UNKNOWN),
        (5, 3, Again.FULL_FRAME),
        (5, 2, Again.FULL_FRAME),
        (5, 1, Again.NOTHING_NEW),
        (5, 0, Again.NOTHING_NEW),
    ],
)
def test_asking_again(frames: int, full: int, verdict: Again) -> None:
    assert asked_again(frames=frames, full_frames=full, tries=3) is verdict


@pytest.mark.parametrize(
    ("before", "after", "second", "crossed", "verdict"),
    [
        (1, 9, 9, 0, SecondSocket.INDEPENDENT),
        (1, 0, 9, 0, SecondSocket.MOVED),
        (1, 9, 0, 0, SecondSocket.FIRST_WINS),
        (1, 0, 0, 0, SecondSocket.UNKNOWN),
        (1, 9, 9, 1, SecondSocket.SHARED),
        (0, 9, 9, 0, SecondSocket.UNKNOWN),
    ],
)
def test_a_second_websocket(
    before: int, after: int, second: int, crossed: int, verdict: SecondSocket
) -> None:
    found = second_socket(
        first_before=before, first_after=after, second_after=second, first_on_second=crossed
    )
    assert found is verdict
