"""Counting logins: limits, refusals, locks and their end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr.login_history import BACKOFF, DAY, HOUR, LoginHistory
from ib_platform.states import PodState

POLICY = SessionPolicy(failed_logins=3, logins_per_hour=2, logins_per_day=3)
NEW = LoginHistory("papera01").with_token("first")


def _after(*attempts: float) -> LoginHistory:
    history = NEW
    for at in attempts:
        history = history.begun(at).ended()
    return history


def test_the_first_login_is_due_at_once() -> None:
    assert NEW.next_at(POLICY) <= 0


def test_two_logins_keep_apart() -> None:
    assert _after(100).next_at(POLICY) == 100 + BACKOFF[0]


def test_hour_and_day_have_their_limits() -> None:
    assert _after(100, 1000).next_at(POLICY) == 100 + HOUR
    assert _after(100, 2 * HOUR, 4 * HOUR).next_at(POLICY) == 100 + DAY


def test_refusals_back_off_and_lock() -> None:
    once = _after(100).refusal("Invalid username password combination", 101, POLICY)
    assert once.next_at(POLICY) == 100 + BACKOFF[1]
    assert once.lock is None
    locked = once.refusal("again", 102, POLICY).refusal("failed", 103, POLICY)
    assert locked.lock is not None
    assert locked.lock.state is PodState.LOCKED
    assert "failed" in locked.lock.reason
    assert locked.lock.since == 103


def test_success_ends_the_row_of_refusals() -> None:
    twice = NEW.refusal("no", 1, POLICY).refusal("no", 2, POLICY)
    assert twice.succeeded().refused == 0
    assert twice.succeeded().refusal("no", 3, POLICY).lock is None


def test_another_token_ends_a_lock_and_forgets_no_attempt() -> None:
    locked = _after(100, 1000).locked(PodState.REFUSED_LIVE, "LOGIN_TYPE 1", 1001)
    assert locked.with_token("first").lock == locked.lock
    unlocked = locked.with_token("second")
    assert unlocked.lock is None
    assert unlocked.refused == 0
    assert unlocked.attempts == (100, 1000)
    again = unlocked.locked(PodState.LOCKED, "no", 1002)
    assert again.with_token("second").lock is not None, "a used token unlocks nothing twice"


def test_no_token_and_an_old_token_unlock_nothing() -> None:
    """Somebody starts the sidecar by hand, or the file of the token is lost."""
    locked = NEW.with_token("second").locked(PodState.REFUSED_LIVE, "LOGIN_TYPE 1", 5)
    for token in ("", "first", "second"):
        assert locked.with_token(token).lock is not None
    assert locked.with_token("third").lock is None


def test_a_login_that_its_process_did_not_survive_counts_as_refused() -> None:
    history = NEW.begun(100)
    assert history.pending
    for number in range(1, 3):
        history = history.resumed(101, POLICY)
        assert (history.refused, history.pending, history.lock) == (number, False, None)
        history = history.begun(200 * number)
    assert history.resumed(500, POLICY).lock is not None
    assert NEW.resumed(101, POLICY) == NEW


def test_what_is_older_than_a_day_is_forgotten() -> None:
    assert _after(100, DAY).as_of(DAY + 101).attempts == (DAY,)


def test_a_login_that_was_not_made_is_taken_back() -> None:
    assert _after(100).begun(200).not_made() == _after(100)


@given(attempts=st.lists(st.floats(0, 1e9), max_size=30), wall=st.floats(0, 1e9))
def test_a_clock_that_was_set_back_holds_nobody_up_for_more_than_a_day(
    attempts: list[float], wall: float
) -> None:
    history = LoginHistory("papera01", attempts=tuple(sorted(attempts))).as_of(wall)
    assert history.next_at(POLICY) <= wall + DAY
    assert history.as_of(wall) == history


@given(wall=st.floats(0, 1e9))
def test_a_login_when_it_is_due_is_within_the_limits(wall: float) -> None:
    history, made = NEW, []
    for _ in range(10):
        wall = max(wall, history.next_at(POLICY))
        history = history.as_of(wall)
        # What is forgotten may not make the next one late or early.
        wall = max(wall, history.next_at(POLICY))
        history = history.begun(wall)
        made.append(wall)
    for span, allowed in ((HOUR, POLICY.logins_per_hour), (DAY, POLICY.logins_per_day)):
        # A float of Unix seconds is good for microseconds only.
        assert all(sum(at <= other < at + span - 1e-3 for other in made) <= allowed for at in made)
