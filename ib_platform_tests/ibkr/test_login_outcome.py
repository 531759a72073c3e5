"""What the words of the login page mean."""

from __future__ import annotations

import pytest

from ib_platform.ibkr.login_outcome import (
    LoginOutcome,
    outcome_of_error,
    says_paper_user_in_live_mode,
)
from ib_platform.simulator.login_page import (
    FAILED,
    LIVE_USER_IN_PAPER_MODE,
    PAPER_USER_IN_LIVE_MODE,
    WRONG_PASSWORD,
)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (WRONG_PASSWORD, LoginOutcome.REJECTED),
        (f"  {WRONG_PASSWORD.upper()}.\n", LoginOutcome.REJECTED),
        (WRONG_PASSWORD.replace(" ", "\n "), LoginOutcome.REJECTED),
        (PAPER_USER_IN_LIVE_MODE, LoginOutcome.WRONG_MODE),
        (LIVE_USER_IN_PAPER_MODE, LoginOutcome.WRONG_MODE),
        (FAILED, LoginOutcome.REFUSED),
        ("Your account has been locked", LoginOutcome.REFUSED),
        ("", LoginOutcome.REFUSED),
    ],
)
def test_an_error_text(text: str, outcome: LoginOutcome) -> None:
    assert outcome_of_error(text) is outcome


@pytest.mark.parametrize(
    "text",
    ["", WRONG_PASSWORD, LIVE_USER_IN_PAPER_MODE, "the specified user is a Paper Trading user"],
)
def test_only_one_text_allows_to_move_the_switch(text: str) -> None:
    assert says_paper_user_in_live_mode(PAPER_USER_IN_LIVE_MODE)
    assert not says_paper_user_in_live_mode(text)
