"""What the frames of an experiment prove. PURE: counts of frames in, one word out.

``unknown`` is said whenever the market may have been the reason: an experiment outside trading
hours proves nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Several(StrEnum):
    """What a session does with a second ladder."""

    MULTIPLEX = "multiplex"
    REPLACE = "replace"
    FIRST_WINS = "first_wins"
    UNKNOWN = "unknown"


class Stopped(StrEnum):
    """What ``ubd`` stops."""

    ALL = "stops_all"
    SOME = "stops_some"
    NONE = "stops_none"
    UNKNOWN = "unknown"


class Lifetime(StrEnum):
    """Whether a ladder that nobody renews ends by itself."""

    EXPIRED = "expired"
    OUTLIVED = "outlived_the_watch"
    UNKNOWN = "unknown"


class Again(StrEnum):
    """What a repeated request of an open ladder brings."""

    FULL_FRAME = "full_frame"
    NOTHING_NEW = "nothing_new"
    UNKNOWN = "unknown"


class SecondSocket(StrEnum):
    """What a second websocket of the same session does to the first."""

    INDEPENDENT = "independent"
    SHARED = "shared"
    MOVED = "moved"
    FIRST_WINS = "first_wins"
    REFUSED = "refused"
    UNKNOWN = "unknown"


def several_ladders(*, first_before: int, first_after: int, second_after: int) -> Several:
    """``first_after`` and ``second_after``: frames well after the second ladder was requested."""
    if not first_before:
        return Several.UNKNOWN
    if second_after:
        return Several.MULTIPLEX if first_after else Several.REPLACE
    return Several.FIRST_WINS if first_after else Several.UNKNOWN


def stopped(streaming_before: int, streaming_after: int) -> Stopped:
    """How many ladders streamed before and after ``ubd``."""
    if not streaming_before:
        return Stopped.UNKNOWN
    if not streaming_after:
        return Stopped.ALL
    return Stopped.NONE if streaming_after >= streaming_before else Stopped.SOME


def lifetime(*, began: bool, fell_silent: bool, came_back_when_asked: bool) -> Lifetime:
    """A ladder expired when it fell silent and a new request brought it back at once: else the
    market or the session may have been silent."""
    if not began or (fell_silent and not came_back_when_asked):
        return Lifetime.UNKNOWN
    return Lifetime.EXPIRED if fell_silent else Lifetime.OUTLIVED


def asked_again(*, frames: int, full_frames: int, tries: int) -> Again:
    """Over several repeated requests: how many brought a frame of all rows."""
    if not frames:
        return Again.UNKNOWN
    return Again.FULL_FRAME if full_frames * 2 > tries else Again.NOTHING_NEW


def second_socket(
    *, first_before: int, first_after: int, second_after: int, first_on_second: int
) -> SecondSocket:
    """A was requested on the first websocket, B on the second. ``first_on_second``: frames of A
    that came over the second."""
    if not first_before:
        return SecondSocket.UNKNOWN
    if first_on_second:
        return SecondSocket.SHARED
    if second_after:
        return SecondSocket.INDEPENDENT if first_after else SecondSocket.MOVED
    return SecondSocket.FIRST_WINS if first_after else SecondSocket.UNKNOWN
