"""Codes, notifications, and what may be said about users."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ib_platform.simulator.behaviour import LoginPageParameters
from ib_platform.simulator.second_factor import (
    Answer,
    Notification,
    SecondFactor,
    decoded_secret,
    is_right_code,
    totp,
)
from ib_platform.simulator.users import AccountKind, SimulatedUser
from ib_platform_tests.simulator.login_client import SECRET, live

INSTANTS = st.floats(0, 4e9)


@pytest.mark.parametrize(
    ("wall", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_codes_of_the_rfc(wall: float, code: str) -> None:
    assert totp(SECRET, wall) == code, "RFC 6238, appendix B, last six digits"


def test_secrets_as_people_type_them() -> None:
    spaced = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"
    assert decoded_secret(spaced) == b"12345678901234567890"
    assert decoded_secret("JBSWY3DPEE") == b"Hello!", "padding may be left out"


@pytest.mark.parametrize("secret", ["", "  ", "0189", "JBSWY3DPEHPK3PX!", "ä", "A"])
def test_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="TOTP secret"):
        decoded_secret(secret)


@given(INSTANTS, st.integers(-1, 1))
def test_a_code_may_be_one_period_off(wall: float, periods: int) -> None:
    code = totp(SECRET, max(0.0, wall + 30 * periods))
    assert is_right_code(SECRET, f" {code} ", wall)
    assert is_right_code(SECRET, totp(SECRET, wall), wall, periods=0)


@given(INSTANTS)
def test_a_code_of_long_ago_is_wrong(wall: float) -> None:
    around = {totp(SECRET, max(0.0, wall + 30 * shift)) for shift in (-1, 0, 1)}
    for code in ("", "12345", "ä", totp(SECRET, wall + 600), "1" * 10_000):
        assert is_right_code(SECRET, code, wall) is (code in around)


def test_a_notification_is_confirmed() -> None:
    notification = Notification(sent=10.0, confirmed_after=3.0, lifetime=60.0)
    assert notification.at(12.9) is Answer.WAITING
    assert notification.at(13.0) is Answer.CONFIRMED
    assert notification.at(1000.0) is Answer.CONFIRMED, "whenever somebody asks"


@pytest.mark.parametrize("after", [None, 61.0])
def test_a_notification_that_nobody_taps_on_expires(after: float | None) -> None:
    notification = Notification(sent=10.0, confirmed_after=after, lifetime=60.0)
    assert notification.at(69.9) is Answer.WAITING
    assert notification.at(70.0) is Answer.EXPIRED
    assert notification.at(71.5) is Answer.EXPIRED


def test_sending_again_gives_a_new_lifetime() -> None:
    slow = Notification(sent=10.0, confirmed_after=100.0, lifetime=60.0)
    slow.send_again(60.0)
    assert slow.at(109.9) is Answer.WAITING
    assert slow.at(110.0) is Answer.CONFIRMED, "the user taps when the user taps"
    silent = Notification(sent=10.0, confirmed_after=None, lifetime=60.0)
    silent.send_again(60.0)
    assert silent.at(119.9) is Answer.WAITING
    assert silent.at(120.0) is Answer.EXPIRED


def test_a_live_user_may_have_any_second_factor() -> None:
    for factor in SecondFactor:
        assert live(factor).second_factor is factor


def test_a_paper_user_has_none() -> None:
    with pytest.raises(ValidationError, match="second_factor_for_paper"):
        live(SecondFactor.TOTP, kind=AccountKind.PAPER)


def test_errors_show_no_secret() -> None:
    with pytest.raises(ValidationError) as refused:
        live(SecondFactor.TOTP, totp_secret="not-base-32!", password="hush-hush")
    assert "TOTP secret is base32" in str(refused.value)
    assert "not-base" not in str(refused.value)
    with pytest.raises(ValidationError) as refused:
        live(password="hush-hush", kind="vip")
    assert "hush" not in str(refused.value)
    assert "hush" not in repr(live(password="hush-hush"))
    assert SECRET not in repr(live())


@pytest.mark.parametrize(
    "wrong",
    [
        {"totp_secret": "1"},
        {"code_field": '"><script>'},
        {"device_field": ""},
        {"push_lifetime": -1},
        {"generation": "fourth"},
        {"second_factor_for_paper": "sms"},
        {"unknown": 1},
    ],
)
def test_wrong_parameters_of_the_page(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TypeAdapter(LoginPageParameters).validate_python(wrong)


def test_users_of_a_scenario() -> None:
    user = SimulatedUser.model_validate(
        {"username": "u", "password": "p", "account": "U1", "kind": "live", "second_factor": "push"}
    )
    assert not user.is_paper
