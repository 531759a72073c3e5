"""What is known of one run before anything is judged. Pure.

Numbers (seq) of frames are held as half-open ranges, so that a lost million costs no more memory
than a lost frame. The algebra of time spans serves them as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ib_platform.warehouse.spans import Span
from ib_platform.warehouse.verify.account import RunAccount
from ib_platform.warehouse.verify.findings import Finding, Kind, Standing

REPORT = "Report it with this text: no frame may go missing without a recorded cause."


@dataclass(frozen=True)
class Mark:
    """A stored frame: its number and instant (ns since 1970)."""

    seq: int
    at: int


@dataclass(frozen=True)
class StoredRun:
    """What ``frames`` holds of a run. ``rows``, ``frames`` (distinct), ``payload_bytes``: in the
    span.

    ``lowest`` and ``highest``: of these and their stored neighbours outside of the span; None when
    there is nothing. ``holes``: ranges of numbers between them that are not stored and touch the
    span, of ``missing`` numbers in all; a long list is cut. ``conflicting``: numbers under which
    different frames are stored.
    """

    rows: int = 0
    frames: int = 0
    payload_bytes: int = 0
    lowest: Mark | None = None
    highest: Mark | None = None
    has_previous: bool = False
    has_following: bool = False
    holes: tuple[Span, ...] = ()
    missing: int = 0
    conflicting: int = 0
    conflicting_examples: tuple[int, ...] = ()


@dataclass(frozen=True)
class SpooledRun:
    """Numbers in the span that are in the spool and not stored: ``not_loaded`` may still come,
    ``acknowledged`` should have been stored. ``different``: stored otherwise than spooled."""

    not_loaded: tuple[Span, ...] = ()
    acknowledged: tuple[Span, ...] = ()
    different: int = 0
    different_examples: tuple[int, ...] = ()


@dataclass
class Case:
    """A run under judgement."""

    account: RunAccount
    findings: list[Finding] = field(default_factory=list)

    def find(
        self,
        kind: Kind,
        standing: Standing,
        frames: int | None,
        text: str,
        *,
        cause: str | None = None,
        remedy: str | None = None,
    ) -> None:
        user, run_id = self.account.paper_user, self.account.run_id
        self.findings.append(
            Finding(user, run_id, kind, standing, frames, text, cause=cause, remedy=remedy)
        )
