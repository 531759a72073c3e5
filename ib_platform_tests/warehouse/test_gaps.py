"""Gaps and their causes: the pure rules against a brute-force twin, and the whole way by SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.evidence import (
    Evidence,
    Generation,
    Leap,
    Loss,
    NamedCause,
    Run,
    Silence,
    Spell,
)
from ib_platform.warehouse.gaps import expected_spans, find_gaps, tenures
from ib_platform.warehouse.spans import Span, difference, intersection, seconds, to_ns, union
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full, trade_date

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
CL = "CL.NYMEX.front"
SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: Span(*sorted(pair))),
    max_size=6,
)


def covered(spans: list[Span]) -> set[int]:
    return {unit for begin, end in spans for unit in range(begin, end)}


@given(left=SPANS, right=SPANS)
def test_span_algebra_is_set_algebra(left: list[Span], right: list[Span]) -> None:
    for answer, wanted in (
        (union([*left, *right]), covered(left) | covered(right)),
        (intersection(left, right), covered(left) & covered(right)),
        (difference(left, right), covered(left) - covered(right)),
    ):
        assert covered(answer) == wanted
        assert all(a.end < b.begin for a, b in zip(answer, answer[1:], strict=False))
        assert all(span.begin < span.end for span in answer)


def test_overlaps_count_once() -> None:
    assert seconds([Span(0, 2 * SECOND), Span(SECOND, 3 * SECOND)]) == 3


def spell(begin: int, end: int, run: str = "r", last: int | None = None, **more: Any) -> Spell:
    fields = {"ended_by": "run_end", "cause": None, "epoch": 1, **more}
    return Spell(1, "alpha", run, begin=begin, end=end, last_frame_at=last or end, **fields)


def evidence(spells: list[Spell], runs: list[Run] | None = None, **more: Any) -> Evidence:
    fields: dict[str, Any] = {"silences": [], "causes": [], "silent_after": 1000, **more}
    return Evidence("alpha", spells, runs=runs or [], **fields)


@given(expected=SPANS, followed=SPANS, silent=SPANS, lost=SPANS)
def test_gaps_are_what_was_expected_and_not_covered(
    expected: list[Span], followed: list[Span], silent: list[Span], lost: list[Span]
) -> None:
    spells = [spell(s.begin, s.end) for s in union(followed)]
    silences = [Silence(1, "r", s.begin, s.end) for s in union(silent)]
    losses = [Loss("r", s.begin, s.end, "disk_full") for s in lost]
    gaps = find_gaps(expected, evidence(spells, silences=silences, losses=losses, silent_after=3))
    missing = covered(expected) - (covered(followed) - covered(lost))
    quiet = [
        s
        for s in difference(intersection(intersection(silent, followed), expected), lost)
        if s.end - s.begin > 3
    ]
    assert covered([Span(g.begin, g.end) for g in gaps]) == missing | covered(quiet)
    assert sum(g.end - g.begin for g in gaps) == len(missing | covered(quiet)), "disjoint"
    assert {g.cause for g in gaps if g.begin in covered(quiet)} <= {Cause.SILENT_LADDER}


@pytest.mark.parametrize(
    ("first", "runs", "cause"),
    [
        ({}, [Run("alpha", "r", 0, 10), Run("alpha", "s", 20, 40)], Cause.STREAMER_DIED),
        ({}, [Run("alpha", "r", 0, 10, recovered=True)], Cause.STREAMER_DIED),
        ({}, [Run("alpha", "r", 0, 10)], Cause.UNKNOWN),
        ({}, [Run("alpha", "r", 0, 10), Run("beta", "s", 20, 40)], Cause.UNKNOWN),
        ({}, [Run("alpha", "r", 0, 10, stopped=True)], Cause.NOT_ASSIGNED),
        (
            {},
            [Run("alpha", "r", 0, 10, stopped=True, stop_cause="maintenance")],
            Cause.MAINTENANCE,
        ),
        ({"ended_by": "disconnected"}, [], Cause.DISCONNECTED),
        ({"ended_by": "disconnected", "cause": "competing_login"}, [], Cause.COMPETING_LOGIN),
        ({"ended_by": "disconnected", "cause": "of_the_future"}, [], Cause.UNKNOWN),
        ({"ended_by": "unsubscribed"}, [], Cause.NOT_ASSIGNED),
    ],
)
def test_a_hole_is_explained_by_what_ended_before_it(
    first: dict[str, Any], runs: list[Run], cause: Cause
) -> None:
    spells = [spell(0, 10, **first), spell(20, 40, run="s")]
    (gap,) = find_gaps([Span(0, 40)], evidence(spells, runs))
    assert (gap.begin, gap.end, gap.cause) == (10, 20, cause)


@pytest.mark.parametrize(
    ("ended", "event", "cause"),
    [
        ("disconnected", NamedCause(15, "alpha", None, "maintenance"), Cause.MAINTENANCE),
        ("disconnected", NamedCause(15, "alpha", None, "gateway_died"), Cause.GATEWAY_DIED),
        ("disconnected", NamedCause(15, "beta", None, "maintenance"), Cause.DISCONNECTED),
        ("disconnected", NamedCause(15, "alpha", 1, "no_entitlement"), Cause.DISCONNECTED),
        ("disconnected", NamedCause(9, "alpha", None, "maintenance"), Cause.DISCONNECTED),
        ("disconnected", NamedCause(25, "alpha", None, "maintenance"), Cause.DISCONNECTED),
        ("competing_login", NamedCause(15, "alpha", None, "maintenance"), Cause.COMPETING_LOGIN),
    ],
)
def test_what_is_learnt_later_explains_a_connection_that_was_lost_without_a_word(
    ended: str, event: NamedCause, cause: Cause
) -> None:
    spells = [spell(0, 10, ended_by="disconnected", cause=ended), spell(20, 40, run="s")]
    (gap,) = find_gaps([Span(0, 40)], evidence(spells, causes=[event]))
    assert (gap.begin, gap.end, gap.cause) == (10, 20, cause)


HOUR = 3600
DIED = Run("alpha", "r", 0, 12, recovered=True)


@pytest.mark.parametrize(
    ("ended", "runs", "events", "causes"),
    [
        # A gateway that died for a moment, and then a login that is refused for hours.
        ("gateway_died", [], [(19, "session_lost")], [(10, Cause.SESSION_LOST)]),
        # Reconnected, killed soon after, dead for hours; the next run waits a moment.
        (
            "disconnected",
            [DIED],
            [(2 * HOUR, "session_lost")],
            [(10, Cause.DISCONNECTED), (12, Cause.STREAMER_DIED)],
        ),
        # A clean stop soon after a disconnection.
        (
            "disconnected",
            [replace(DIED, stopped=True)],
            [],
            [(10, Cause.DISCONNECTED), (12, Cause.NOT_ASSIGNED)],
        ),
        # Maintenance for an hour that begins with a gateway that does not answer.
        (
            "disconnected",
            [],
            [(11, "gateway_died"), (60, "maintenance")],
            [(10, Cause.MAINTENANCE)],
        ),
        # Clocks explain no gap.
        (
            "session_lost",
            [],
            [(11, "clock_step"), (12, "late_stamps")],
            [(10, Cause.SESSION_LOST)],
        ),
    ],
)
def test_the_cause_is_what_held_the_longest_until_the_run_ended(
    ended: str,
    runs: list[Run],
    events: list[tuple[int, str]],
    causes: list[tuple[int, Cause]],
) -> None:
    end = 2 * HOUR + 10
    spells = [
        spell(0, 10, ended_by="disconnected", cause=ended),
        spell(end, 3 * HOUR, run="s"),
    ]
    later = Run("alpha", "s", 2 * HOUR, 3 * HOUR)
    named = [NamedCause(at, "alpha", None, said) for at, said in events]
    gaps = find_gaps(
        [Span(0, 3 * HOUR)], evidence(spells, [*runs, later], causes=named, silent_after=10**9)
    )
    assert [(gap.begin, gap.cause) for gap in gaps] == causes
    assert [gap.end for gap in gaps] == [*(begin for begin, _ in causes[1:]), end]


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        # Learnt on the date before, and it lasts; asking for the ladder again is no cause.
        ([(-50, "disconnected", None), (-40, "maintenance", None)], Cause.MAINTENANCE),
        ([(-40, "maintenance", None), (89, "disconnected", 1)], Cause.MAINTENANCE),
        ([(-40, "session_lost", None), (5, "clock_step", None)], Cause.SESSION_LOST),
        ([(20, "no_entitlement", 1)], Cause.NO_ENTITLEMENT),
        ([(20, "no_entitlement", 2)], Cause.UNKNOWN),
        ([], Cause.UNKNOWN),
    ],
)
def test_a_hole_at_the_border_of_a_date_goes_on_with_its_cause(
    events: list[tuple[int, str, int | None]], cause: Cause
) -> None:
    runs = [Run("alpha", "r", -100, 200)]
    causes = [NamedCause(at, "alpha", conid, said) for at, said, conid in events]
    gaps = find_gaps([Span(0, 200)], evidence([spell(90, 200)], runs, causes=causes))
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [(0, 90, cause)]


@pytest.mark.parametrize(
    ("runs", "cause"),
    [
        # The ladder has not come yet since the streamer died: words of the dead run are over.
        ([Run("alpha", "old", -100, -20), Run("alpha", "r", -5, 200, number=1)], "streamer_died"),
        ([Run("alpha", "old", -100, -80), Run("alpha", "r", -30, 200, number=1)], "unknown"),
        ([Run("alpha", "r", -5, 200)], "unknown"),
        ([Run("alpha", "r", -50, 200)], "silent_ladder"),
    ],
)
def test_a_run_that_began_just_before_a_date_goes_on_with_what_ended_the_one_before(
    runs: list[Run], cause: str
) -> None:
    told = evidence([spell(10, 200)], runs, causes=[NamedCause(-40, "alpha", 1, "silent_ladder")])
    gaps = find_gaps([Span(0, 200)], replace(told, silent_after=20))
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [(0, 10, cause)]


def test_lost_frames_are_a_gap_of_their_own_cause() -> None:
    losses = [Loss("r", 10, 15, "disk_full"), Loss("r", 20, 25, "spool_damaged")]
    gaps = find_gaps([Span(0, 40)], evidence([spell(0, 30)], losses=losses))
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [
        (10, 15, Cause.DISK_FULL),
        (20, 25, Cause.SPOOL_DAMAGED),
        (30, 40, Cause.UNKNOWN),
    ]


@pytest.mark.parametrize(
    ("events", "gaps"),
    [
        ([], [(10, 40, Cause.DISK_FULL)]),
        (
            [(20, "disconnected")],
            [(10, 25, Cause.DISK_FULL), (25, 40, Cause.DISCONNECTED)],
        ),
        # A second of a full disk does not explain what comes after it.
        (
            [(27, "disconnected")],
            [(10, 25, Cause.DISK_FULL), (25, 40, Cause.DISCONNECTED)],
        ),
        ([(38, "disconnected")], [(10, 40, Cause.DISK_FULL)]),
        (
            [(24, "disconnected"), (24, "session_lost")],
            [(10, 25, Cause.DISK_FULL), (25, 40, Cause.SESSION_LOST)],
        ),
    ],
)
def test_frames_that_a_full_disk_refused_before_the_connection_ended(
    events: list[tuple[int, str]], gaps: list[tuple[int, int, Cause]]
) -> None:
    """Found by the chaos test: with nothing stored, the ladder ended when the disk was full."""
    spells = [
        spell(0, 10, ended_by="disconnected", cause="disconnected"),
        spell(40, 60, epoch=2),
    ]
    causes = [NamedCause(at, "alpha", None, said) for at, said in events]
    losses = [Loss("r", 10, 25, "disk_full")]
    runs = [Run("alpha", "r", 0, 60)]
    found = find_gaps([Span(0, 60)], evidence(spells, runs, losses=losses, causes=causes))
    assert [(gap.begin, gap.end, gap.cause) for gap in found] == gaps


@pytest.mark.parametrize(
    ("last_frame", "disconnected", "gaps"),
    [
        (12, 20, [(12, 25, Cause.DISK_FULL), (25, 40, Cause.DISCONNECTED)]),
        (12, 13, [(12, 14, Cause.DISCONNECTED), (14, 40, Cause.DISK_FULL)]),
        (
            3,
            20,
            [
                (3, 14, Cause.DISCONNECTED),
                (14, 25, Cause.DISK_FULL),
                (25, 40, Cause.DISCONNECTED),
            ],
        ),
    ],
)
def test_a_loss_begins_with_the_last_frame_that_was_kept(
    last_frame: int, disconnected: int, gaps: list[tuple[int, int, Cause]]
) -> None:
    """Found by the chaos test: the connection was up when the disk refused its first frame."""
    spells = [
        spell(0, last_frame, ended_by="disconnected", cause="disconnected"),
        spell(40, 60, epoch=2),
    ]
    more: dict[str, Any] = {
        "causes": [NamedCause(disconnected, "alpha", None, "disconnected")],
        "losses": [Loss("r", 14, 25, "disk_full")],
        "silent_after": 10,
    }
    found = find_gaps([Span(0, 60)], evidence(spells, [Run("alpha", "r", 0, 60)], **more))
    assert [(gap.begin, gap.end, gap.cause) for gap in found] == gaps


@pytest.mark.parametrize(
    ("users", "wanted"),
    [
        ([], [("alpha", 0, 99)]),
        (["beta"], [("beta", 0, 99)]),
        (["beta", "beta", "alpha"], [("beta", 0, 20), ("alpha", 20, 99)]),
        (["alpha", None, "alpha"], [("alpha", 0, 99)]),
        (["alpha", None, "beta", "alpha"], [("alpha", 0, 20), ("beta", 20, 30), ("alpha", 30, 99)]),
    ],
)
def test_whose_a_contract_was(users: list[str | None], wanted: list[tuple[str, int, int]]) -> None:
    generations = [
        Generation(10 * number, 10 * number, {"ES": "gamma"} | ({"CL": user} if user else {}))
        for number, user in enumerate(users)
    ]
    found = tenures("CL", generations, "alpha")
    assert [(u, max(0, b), min(99, e)) for u, (b, e) in found] == wanted


def test_a_later_rebalance_changes_no_cause(client: Any, config: PlatformConfig) -> None:
    """Found by a reviewer: what alpha had said was not heard when beta had the contract later."""
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    assign(client, [(CL, "beta", 1)], NOON + 100 * SECOND, generation=2, grace=0)
    alpha, beta = Recorder("a"), Recorder("b", paper_user="beta")
    stream(alpha, 0, 30)
    alpha.event(NOON + 31 * SECOND, StreamEventKind.DISCONNECTED, "disconnected")
    alpha.event(NOON + 32 * SECOND, StreamEventKind.SESSION_CHANGED, "competing_login")
    stream(alpha, 60, 100)
    beta.event(NOON + 50 * SECOND, StreamEventKind.RUN_STARTED)
    stream(beta, 100, 120)
    for recorder in (alpha, beta):
        recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(30, 60, "competing_login")]
    ((user,),) = client.query("SELECT paper_user FROM gaps").result_rows
    assert user == "alpha"


def test_times_that_a_clock_skipped_in_a_hole_are_no_silence() -> None:
    """Found by the chaos test: set ahead by 85 while the numbers 5 to 8 were lost, for 5."""
    losses = [Loss("r", b, e, "spool_damaged", (4, 9)) for b, e in [(10, 15), (95, 100)]]
    silences = [Silence(1, "r", 10, 100)]
    more: dict[str, Any] = {"losses": losses, "silences": silences, "silent_after": 20}
    gaps = find_gaps([Span(0, 120)], evidence([spell(0, 120)], **more))
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [
        (10, 15, Cause.SPOOL_DAMAGED),
        (95, 100, Cause.SPOOL_DAMAGED),
    ]
    apart = [Loss("r", 10, 15, "disk_full", (4, 5)), Loss("r", 95, 100, "disk_full", (5, 6))]
    gaps = find_gaps([Span(0, 120)], evidence([spell(0, 120)], **{**more, "losses": apart}))
    assert (15, 95, Cause.SILENT_LADDER) in [(gap.begin, gap.end, gap.cause) for gap in gaps]


def test_a_hole_in_which_the_clock_was_set_ahead_has_one_cause() -> None:
    """Found by the chaos test: a streamer's clock leapt while it began."""
    told = evidence(
        [spell(60, 100)], [Run("alpha", "r", 5, 100)], leaps=[Leap("r", 2, Span(20, 50))]
    )
    gaps = find_gaps([Span(0, 100)], told)
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [
        (0, 20, Cause.NOT_ASSIGNED),
        (50, 60, Cause.NOT_ASSIGNED),
    ]


def test_a_silence_ends_with_the_frame_after_it() -> None:
    silences = [Silence(1, "r", 10, 55), Silence(1, "r", 55, 90)]
    for known, end in ((silences[:1], 55), (silences, 90)):
        told = evidence([spell(0, end + 5, last=end)], silences=known, silent_after=30)
        gaps = find_gaps([Span(0, end + 5)], told)
        assert [(gap.begin, gap.end) for gap in gaps] == [(10, end)]
    late = evidence([spell(0, 95, last=55)], silences=silences[:1], silent_after=30)
    assert [(gap.begin, gap.end) for gap in find_gaps([Span(0, 95)], late)] == [(10, 95)]


def test_what_one_pod_lost_another_may_have() -> None:
    losses = [Loss("r", 10, 25, "disk_full")]
    spells = [spell(0, 30), spell(20, 40, run="s")]
    gaps = find_gaps([Span(0, 40)], evidence(spells, losses=losses))
    assert [(gap.begin, gap.end, gap.cause) for gap in gaps] == [(10, 20, Cause.DISK_FULL)]


def test_two_pods_cover_for_each_other() -> None:
    spells = [spell(0, 20), spell(10, 40, run="s")]
    silences = [Silence(1, "r", 5, 18)]
    gaps = find_gaps([Span(0, 40)], evidence(spells, silences=silences, silent_after=3))
    assert [(gap.begin, gap.end) for gap in gaps] == [(5, 10)]


@pytest.mark.parametrize(
    ("named", "cause"),
    [
        ([(12, "silent_ladder")], Cause.SILENT_LADDER),
        ([(12, "silent_ladder"), (14, "no_entitlement")], Cause.NO_ENTITLEMENT),
        ([(12, "no_entitlement"), (14, "silent_ladder")], Cause.NO_ENTITLEMENT),
        ([(12, "undecodable")], Cause.UNDECODABLE),
        ([(4, "no_entitlement"), (25, "no_entitlement")], Cause.SILENT_LADDER),
        ([(12, "disk_full")], Cause.SILENT_LADDER),
    ],
)
def test_a_silence_has_the_cause_that_was_found_while_it_lasted(
    named: list[tuple[int, str]], cause: Cause
) -> None:
    causes = [NamedCause(at, "alpha", 1, word) for at, word in named]
    causes.append(NamedCause(13, "alpha", 2, "no_entitlement"))
    causes.append(NamedCause(13, "beta", 1, "no_entitlement"))
    silences = [Silence(1, "r", 10, 20)]
    found = find_gaps(
        [Span(0, 40)], evidence([spell(0, 40)], silences=silences, causes=causes, silent_after=3)
    )
    assert [(gap.begin, gap.end, gap.cause) for gap in found] == [(10, 20, cause)]


def test_a_ladder_that_never_came_has_the_cause_that_was_found() -> None:
    causes = [NamedCause(12, "alpha", 1, "no_entitlement"), NamedCause(13, "alpha", 2, "disk_full")]
    runs = [Run("alpha", "r", -5, 40)]
    (gap,) = find_gaps([Span(0, 40)], evidence([], runs, causes=causes, conid=1))
    assert (gap.begin, gap.end, gap.cause) == (0, 40, Cause.NO_ENTITLEMENT)


def test_before_the_first_run_nobody_was_assigned() -> None:
    (gap,) = find_gaps([Span(0, 20)], evidence([spell(10, 20)], [Run("alpha", "r", 9, 20)]))
    assert gap.cause is Cause.NOT_ASSIGNED


@pytest.mark.parametrize(("first_at", "cause"), [(3, Cause.SESSION_LOST), (15, Cause.NOT_ASSIGNED)])
def test_a_run_that_never_got_in_explains_most_of_a_hole_or_nothing(
    first_at: int, cause: Cause
) -> None:
    """A pod that was launched late is late; one that could not log in says why."""
    causes = [
        NamedCause(first_at, "alpha", None, "gateway_died"),
        NamedCause(first_at + 1, "alpha", None, "session_lost"),
        NamedCause(first_at + 1, "beta", None, "maintenance"),
    ]
    runs = [Run("alpha", "r", first_at, 20)]
    (gap,) = find_gaps([Span(0, 20)], evidence([], runs, causes=causes))
    assert (gap.begin, gap.end, gap.cause) == (0, 20, cause)


def test_a_run_that_died_before_the_date_explains_its_beginning() -> None:
    runs = [Run("alpha", "old", -50, -5), Run("alpha", "r", 9, 20)]
    (gap,) = find_gaps([Span(0, 20)], evidence([spell(10, 20, run="r")], runs))
    assert gap.cause is Cause.STREAMER_DIED


@pytest.mark.parametrize(
    ("generations", "spells", "expected"),
    [
        ([(0, 60, {CL: "alpha"})], [], [(60, 100)]),
        ([(0, 60, {CL: "alpha"})], [spell(20, 100)], [(20, 100)]),
        ([(30, 60, {CL: "alpha"})], [spell(10, 100)], [(30, 100)]),
        ([(0, 10, {CL: "alpha"}), (50, 70, {})], [], [(10, 50)]),
        ([(0, 10, {CL: "alpha"}), (50, 70, {CL: "beta"})], [], [(10, 100)]),
        (
            [(0, 10, {CL: "alpha"}), (20, 30, {}), (50, 70, {CL: "alpha"})],
            [],
            [(10, 20), (70, 100)],
        ),
        ([(0, 60, {"ES.CME.front": "alpha"})], [spell(20, 100)], []),
    ],
)
def test_what_is_expected(generations: Any, spells: list[Spell], expected: Any) -> None:
    made = [Generation(*generation) for generation in generations]
    assert expected_spans(CL, made, spells, until=100) == expected


def stored_gaps(client: Any) -> list[tuple[float, float, str]]:
    """Seconds after NOON of begin and end, and the cause, of every gap after NOON."""
    rows = client.query(
        "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause FROM gaps "
        "ORDER BY contract, begin"
    ).result_rows
    return [((b - NOON) / SECOND, (e - NOON) / SECOND, cause) for b, e, cause in rows if b >= NOON]


def stream(recorder: Recorder, begin: int, end: int, conid: int = 1) -> None:
    """Ladder frames every five seconds from ``begin`` to ``end``, seconds after NOON."""
    for second in range(begin, end + 1, 5):
        recorder.ladder(NOON + second * SECOND, conid, full())


def test_a_killed_streamer(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    first, second = Recorder("run-a"), Recorder("run-b")
    stream(first, 0, 60)
    stream(second, 75, 120)
    second.event(NOON + 76 * SECOND, StreamEventKind.RUN_RECOVERED, run_id="run-a", frames=13)
    for recorder in (first, second):
        recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(60, 75, "streamer_died")]


def test_a_dead_connection_ends_a_ladder_with_its_last_frame(
    client: Any, config: PlatformConfig
) -> None:
    """That it was dead was noticed 7 s later; a frame of another topic had come after 2 s."""
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.other(NOON + 62 * SECOND)
    recorder.event(NOON + 69 * SECOND, StreamEventKind.DISCONNECTED, "disconnected")
    recorder.other(NOON + 75 * SECOND)
    stream(recorder, 80, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(62, 80, "disconnected")]


def test_a_reconnection_inside_a_run(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.event(NOON + 62 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.other(NOON + 65 * SECOND)
    stream(recorder, 70, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(60, 70, "session_lost")]


def test_a_session_that_is_lost_over_an_open_websocket(client: Any, config: PlatformConfig) -> None:
    """28 s, less than a silence needs: the event alone ends the ladder."""
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.event(NOON + 62 * SECOND, StreamEventKind.SESSION_CHANGED, "competing_login")
    recorder.other(NOON + 70 * SECOND)
    recorder.event(NOON + 89 * SECOND, StreamEventKind.SESSION_CHANGED)
    stream(recorder, 90, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(62, 90, "competing_login")]


def test_frames_that_a_full_disk_lost(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 30)
    recorder.event(
        NOON + 50 * SECOND,
        StreamEventKind.FRAMES_LOST,
        "disk_full",
        lost_frames=7,
        begin="2026-11-18T18:00:31+00:00",
        end="2026-11-18T18:00:50+00:00",
    )
    stream(recorder, 55, 60)
    recorder.event(NOON + 61 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, "disk_full", 1)
    stream(recorder, 65, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(31, 50, "disk_full")]
    assert suspects(client) == [(31, 55, "disk_full")]
    ((received, stored, lost),) = client.query(
        "SELECT frames_received, frames_stored, frames_lost FROM quality_report"
    ).result_rows
    assert (received - 7, lost) == (stored, 7)


def test_a_hole_in_a_damaged_spool(client: Any, config: PlatformConfig) -> None:
    """Frames 4 to 6 were there once; the loader has stepped over what is left of them."""
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    for rows in (recorder.frames, recorder.ladders):
        del rows[4:7]
    damage = {"run_id": "r", "segment": 0, "offset": 99, "skipped_bytes": 300}
    recorder.event(NOON + 70 * SECOND, StreamEventKind.SPOOL_TORN, "spool_damaged", **damage)
    recorder.other(NOON + 61 * SECOND)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 1, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(15, 35, "spool_damaged")]
    # A window was laid at 35, but what would tell that its stamp is late may be lost as well.
    assert suspects(client) == [(15, 36, "spool_damaged")]


def test_stamps_behind_damage_are_in_doubt_for_no_longer_than_it_took(
    client: Any, config: PlatformConfig
) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    for tenth in range(100):
        recorder.ladder(NOON + tenth * SECOND // 10, 1, full())
    for rows in (recorder.frames, recorder.ladders):
        del rows[41:43]
    damage = {"run_id": "r", "segment": 0, "offset": 99, "skipped_bytes": 300}
    recorder.event(NOON + 20 * SECOND, StreamEventKind.SPOOL_TORN, "spool_damaged", **damage)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 1, 1, tzinfo=UTC))
    assert suspects(client) == [(4.0, 4.6, "spool_damaged")]


def test_a_run_that_fell_says_why(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    first, second = Recorder("run-a"), Recorder("run-b")
    stream(first, 0, 60)
    first.event(NOON + 61 * SECOND, StreamEventKind.RUN_STOPPED, "streamer_died", error="Boom")
    stream(second, 75, 120)
    for recorder in (first, second):
        recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(60, 75, "streamer_died")]


def test_a_clock_step_is_a_suspect_window(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.event(
        NOON + 40 * SECOND,
        StreamEventKind.CLOCK_STEP,
        "clock_step",
        begin="2026-11-18T18:00:38+00:00",
        end="2026-11-18T18:00:40+00:00",
        step_ms=2000,
    )
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert suspects(client) == [(38, 40, "clock_step")]


def suspects(client: Any) -> list[tuple[float, float, str]]:
    """Seconds after NOON of begin and end, and the cause, of every suspect window."""
    rows = client.query(
        "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause "
        "FROM suspect_windows ORDER BY begin"
    ).result_rows
    return [((b - NOON) / SECOND, (e - NOON) / SECOND, cause) for b, e, cause in rows]


def test_a_silent_ladder(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    for second in range(61, 100):
        recorder.other(NOON + second * SECOND)
    stream(recorder, 100, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(60, 100, "silent_ladder")]


def test_a_ladder_without_entitlement(client: Any, config: PlatformConfig) -> None:
    """CL falls silent, ES never comes: both because of field 6509."""
    assign(client, [(CL, "alpha", 1), ("ES.CME.front", "alpha", 2)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    for second in range(61, 100):
        recorder.other(NOON + second * SECOND)
        if second == 90:
            at = NOON + second * SECOND
            for conid in (1, 2):
                recorder.event(at, StreamEventKind.LADDER_SILENT, "no_entitlement", conid)
    stream(recorder, 100, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    found = stored_gaps(client)
    assert (60, 100, "no_entitlement") in found
    assert [cause for _, end, cause in found if end > 100] == ["no_entitlement"]


def test_a_rerequest_is_no_gap(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.event(NOON + 60 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, "resubscribed", 1)
    stream(recorder, 70, 120)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == []
    epochs = client.query("SELECT epoch, ended_by FROM spells ORDER BY epoch").result_rows
    assert epochs == [(1, "next_epoch"), (2, "run_end")]


def test_a_clean_stop_and_the_rest_of_the_date(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.event(NOON + 60 * SECOND, StreamEventKind.RUN_STOPPED)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert stored_gaps(client) == [(60, 4.5 * 3600, "not_assigned")]


def test_the_market_is_closed_in_the_break(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND, calendar="cme_globex")
    recorder = Recorder("r")
    stream(recorder, 0, 60)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    # 16:00 Chicago is 22:00 UTC: the half hour up to the border is no gap.
    assert stored_gaps(client) == [(60, 4 * 3600, "unknown")]


def test_a_live_run_is_known_until_its_own_last_frame(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1), ("ES.CME.front", "beta", 2)], NOON - 5 * SECOND)
    alpha, beta = Recorder("a"), Recorder("b", "beta")
    stream(alpha, 0, 60)
    stream(beta, 0, 80, conid=2)
    for recorder in (alpha, beta):
        recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == []
    stream(beta, 85, 100, conid=2)
    client.command("TRUNCATE TABLE ladder_frames")
    client.command("TRUNCATE TABLE frames")
    for recorder in (alpha, beta):
        recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 2, 1, tzinfo=UTC))
    assert stored_gaps(client) == [(60, 100, "unknown")]


def test_suspect_windows(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    stream(recorder, 0, 20)
    recorder.broken(NOON + 21 * SECOND, 1)
    stream(recorder, 25, 60)
    recorder.event(
        NOON + 61 * SECOND,
        StreamEventKind.LATE_STAMPS,
        "late_stamps",
        begin="2026-11-18T18:00:58.500000+00:00",
        end="2026-11-18T18:01:00.900000+00:00",
    )
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert suspects(client) == [(21, 25, "undecodable"), (58.5, 60.9, "late_stamps")]
    suspect = client.query(
        "SELECT toUnixTimestamp(bar_start) FROM bars WHERE bar_size = '1s' AND suspect ORDER BY 1"
    ).result_rows
    assert [start - NOON // SECOND for (start,) in suspect] == [60]


def test_a_clock_set_back_leaves_an_empty_spell(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("run-a")
    recorder.ladder(NOON + 10 * SECOND, 1, full())
    recorder.event(NOON + SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.ladder(NOON + 2 * SECOND, 1, full())
    recorder.other(NOON + 20 * SECOND)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    spells = client.query(
        "SELECT epoch, toFloat64(end - begin) FROM spells ORDER BY epoch"
    ).result_rows
    assert spells == [(1, 0), (2, 18)]


def test_a_roll_leaves_no_unexplained_gap_however_late_the_date_is_built(
    client: Any, config: PlatformConfig
) -> None:
    """The front month changes at the border; the new one is resolved again on the day after, as
    after a restart."""
    old, new = 1, 2
    _, border = (to_ns(instant) for instant in trade_date_span(DAY))
    monday_noon = border + 20 * 3600 * SECOND
    assign(client, [(CL, "alpha", old)], border - 600 * SECOND)
    run = Recorder("rolling")
    run.event(border - 500 * SECOND, StreamEventKind.RUN_STARTED)
    request, end = StreamEventKind.SUBSCRIBE_REQUESTED, StreamEventKind.UNSUBSCRIBED
    run.event(border - 500 * SECOND, request, conid=old)
    for second in range(-499, 1):
        run.ladder(border + second * SECOND, old, full())
    run.event(border + SECOND, end, "not_assigned", old)
    run.event(border + SECOND, request, "resubscribed", new)
    for second in range(3, 600):
        run.ladder(border + second * SECOND, new, full())
    run.event(border + 600 * SECOND, StreamEventKind.RUN_STOPPED)
    run.insert(client)
    rows = [(border + SECOND, new), (monday_noon, new)]
    client.insert(
        "contracts",
        [(CL, conid, "CL", "NYMEX", at // 1_000_000, trade_date(at)) for at, conid in rows],
        column_names=["contract", "conid", "symbol", "exchange", "resolved_at", "trade_date"],
    )
    following = DAY + timedelta(days=1)
    for day, conid in ((DAY, old), (following, new)):
        finalize(client, config, day, now=AFTER)
        found = client.query(
            "SELECT conid, cause FROM gaps WHERE contract = {key:String} "
            "AND trade_date = {day:Date} ORDER BY begin",
            parameters={"key": CL, "day": day},
        ).result_rows
        assert {row[0] for row in found} == {conid}
        assert "unknown" not in {row[1] for row in found}
        ((reported,),) = client.query(
            "SELECT conid FROM quality_report WHERE contract = {key:String} "
            "AND trade_date = {day:Date}",
            parameters={"key": CL, "day": day},
        ).result_rows
        assert reported == conid
    assert found[0] == (new, "resubscribed")
