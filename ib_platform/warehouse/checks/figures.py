"""What was measured of one contract on one trade date. Plain values. Pure.

Names of ``BookFigures``, ``QuoteFigures`` and ``BarFigures`` are the columns of
``queries/checks_of_states.sql``, ``checks_of_quotes.sql`` and ``checks_of_bars.sql``. Times are
seconds; None is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ib_platform.states import Verdict
from ib_platform.warehouse.quality import Facts


@dataclass(frozen=True)
class PodFigures:
    """Of one paper user, over all topics and contracts. ``holes``: numbers missing between stored
    frames; ``bad_values``: frames by conid, 0 where nobody knows whose."""

    received: int
    stored: int
    duplicates: int
    holes: int
    monotonic_steps: int
    wall_steps: int
    drifted: int
    drifts: Sequence[str] = ()
    unknown_keys: Sequence[str] = ()
    bad_values: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class BookFigures:
    """Of the book's states; times and counts are of the open market."""

    states: int
    open_seconds: float
    two_sided_seconds: float
    locked_seconds: float
    locked_states: int
    one_sided_seconds: float
    one_sided_states: int
    shaped_states: int
    shallow_states: int
    nonpositive_states: int
    off_tick_states: int
    keyframes: int
    agreeing_keyframes: int
    median_spread: float
    wide_spreads: int
    mid_outliers: int
    spikes: int
    stale_touches: int
    longest_touch_seconds: float
    frozen_sides: int
    median_bid_size: float
    median_ask_size: float
    size_outliers: int


@dataclass(frozen=True)
class QuoteFigures:
    """Of quotes. ``delays``: median, p90, p99, p99.9 and longest, seconds."""

    quotes: int
    without_time: int
    steps_back: int
    early_quotes: int
    delays: Sequence[float | None]
    compared_quotes: int
    agreeing_quotes: int


@dataclass(frozen=True)
class BarFigures:
    """Of the bars of the same build. ``states_by_size``: what the bars of each size count."""

    wrong: int
    bars: int
    states_by_size: Sequence[int]


@dataclass(frozen=True)
class Rates:
    """Ladder frames a minute, and the median over ``dates`` trade dates before."""

    rate: float
    median: float | None
    dates: int


@dataclass(frozen=True)
class Measured:
    """Everything that the checks of one contract and trade date rest on. A part that is None was
    not there: no frame, no quote, no second stream.

    ``spoken``: the verdict and its reasons. ``silent_seconds``: in silences of the ladder, and of
    them ``silent_alone_seconds`` without any other ladder that could be compared.
    ``silent_while_others``: those that another ladder outlived by more than the limit.
    ``renewal_seconds``: longest time without a new request for a quote. ``overlap``: seconds in
    which two pods streamed it, and in which they agree. ``recorded_states``: ladder frames with a
    window. ``null_cells`` of ``cells``: required values of ladder frames. ``days_left``: to the
    last trading day. ``roll_due_days``: with fewer days left the roll rule wants the next month.
    """

    contract: str
    facts: Facts
    spoken: tuple[Verdict, Sequence[str]]
    expected_causes: Sequence[str]
    gaps: int
    silent_seconds: float = 0.0
    silent_alone_seconds: float = 0.0
    silent_while_others: float = 0.0
    renewal_seconds: float | None = None
    pod: PodFigures | None = None
    book: BookFigures | None = None
    quotes: QuoteFigures | None = None
    bars: BarFigures | None = None
    rates: Rates | None = None
    overlap: tuple[int, int] | None = None
    longest_crossed_seconds: float = 0.0
    recorded_states: int = 0
    null_cells: int = 0
    cells: int = 0
    tick_known: bool = False
    days_left: int | None = None
    roll_due_days: int | None = None
    recorded_seconds: float = 0.0
    suspect_seconds: float = 0.0
    suspect_by_cause: Mapping[str, float] = field(default_factory=dict)
    suspect_windows: int = 0
    forbids_nonpositive: bool = False
    conid: int | None = None
    source: str | None = None

    @property
    def is_played(self) -> bool:
        """Whether a simulator sends: its times say nothing of IBKR's."""
        return self.source in ("simulated", "replayed", "mixed")
