"""What a dead run left at the end of its last segment: reported, cut off, kept beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from ib_platform.streamer.segments import (
    SegmentFile,
    cut_tail,
    end_of_records,
    size_of,
    sync_file,
)

logger = logging.getLogger(__name__)


def last_segments(segments: Iterable[SegmentFile]) -> list[SegmentFile]:
    """The last segment of each run: only that one can end in the middle of a record, since
    rotation is clean. ``segments`` are ordered."""
    return list({segment.run_id: segment for segment in segments}.values())


def cut_torn_tails(
    earlier: list[SegmentFile], paper_user: str, report: Callable[[dict[str, Any]], None]
) -> None:
    """Cut the torn tails of segments that nobody writes any more, each after ``report`` has made
    its detail durable: after a crash in between it is reported once more.

    Raises:
        SpoolError: a file is foreign or newer, or the disk refuses.
    """
    for segment in earlier:
        # A killed run may have left bytes that only the kernel holds yet.
        sync_file(segment.path)
    for segment in last_segments(earlier):
        keep = end_of_records(segment.path, paper_user)
        torn = size_of(segment.path) - keep
        if torn == 0:
            continue
        logger.warning("%s: cutting off a torn tail of %d bytes", segment.path, torn)
        report({"run_id": segment.run_id, "segment": segment.number, "torn_bytes": torn})
        cut_tail(segment, keep)
