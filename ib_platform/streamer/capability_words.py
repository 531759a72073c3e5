"""What is proven about several ladders, in words for people. PURE."""

from __future__ import annotations

from ib_platform.health import LadderCapability
from ib_platform.states import LadderMode
from ib_platform.streamer.capability import holds

_MEANINGS = {
    LadderMode.MULTIPLEX: "further ladders come and the earlier ones go on",
    LadderMode.REPLACE: "a further ladder silences an earlier one",
    LadderMode.FIRST_WINS: "a further ladder never comes while the earlier ones go on",
}


def why_not_held(capability: LadderCapability, file: str) -> str:
    """Why a contract's ladder is not asked for, and what to do, for people."""
    at = capability.concluded_at.isoformat(timespec="seconds")
    return (
        f"this session holds {capability.ladders} ladder(s) at a time ({capability.mode.value}), "
        f"proven at {at}: {capability.evidence}. The contract needs another paper user; set "
        f"depth_slots to {capability.ladders} and rebalance. To prove it anew, stop the streamer "
        f"and delete {file}"
    )


def in_words(capability: LadderCapability | None, depth_slots: int, file: str) -> list[str]:
    """What is known of a session and what it means for a paper user with so many slots: lines for
    people."""
    if capability is None:
        return [
            f"nothing is proven yet ({file} is not there)",
            "a streamer with two or more contracts finds it out by itself in open hours",
        ]
    at = capability.concluded_at.isoformat(timespec="seconds")
    lines = [
        f"{capability.mode.value}: {_MEANINGS[capability.mode]}",
        f"ladders at a time: {capability.ladders}, proven at {at}",
        f"evidence: {capability.evidence}",
    ]
    limit = holds(capability)
    if limit is not None and depth_slots > limit:
        lines.append(f"depth_slots is {depth_slots}: set it to {limit} and rebalance")
    elif limit is None and depth_slots > capability.ladders:
        lines.append(f"depth_slots is {depth_slots}: more than {capability.ladders} is unproven")
    return lines
