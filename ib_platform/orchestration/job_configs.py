"""Configs of the jobs that act on the fleet: every field says in the UI what it means."""

from typing import Literal

import dagster as dg
from pydantic import Field

LONGEST_DRAIN = 3600
"""Seconds that a drain may be given."""
_PAPER_USER = "Name of the paper user in the configuration; its pod has the same name"
_REASON = "Why, for the run's history"


class LaunchPodConfig(dg.Config):
    """The pod to launch."""

    paper_user: str = Field(description=_PAPER_USER)
    end_retirement: bool = Field(
        default=True, description="Launch also a pod that was retired; the sensor never does"
    )
    reason: str = Field(default="by hand", description=_REASON)


class RestartPodConfig(dg.Config):
    """The pod to restart, and how much of it."""

    paper_user: str = Field(description=_PAPER_USER)
    scope: Literal["streamer", "pod"] = Field(
        default="streamer",
        description="`streamer` leaves the gateway and its login alone; `pod` replaces both, "
        "which is another login",
    )
    reason: str = Field(default="by hand", description=_REASON)


class RetirePodConfig(dg.Config):
    """The pod to stop for good."""

    paper_user: str = Field(description=_PAPER_USER)
    reason: str = Field(default="by hand", description=_REASON)


class UnlockPodConfig(dg.Config):
    """The pod whose login may be tried again."""

    paper_user: str = Field(description=_PAPER_USER)
    reason: str = Field(default="by hand", description=_REASON)


class DrainSpoolConfig(dg.Config):
    """The spool to load without a session."""

    paper_user: str = Field(description=_PAPER_USER)
    deadline: float = Field(
        default=600,
        gt=0,
        le=LONGEST_DRAIN,
        description="Seconds; what is not loaded by then stays in the spool, and the run fails",
    )
    reason: str = Field(default="by hand", description=_REASON)
