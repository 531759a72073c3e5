"""The steps behind the login page, in stepped time and without a server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.login_desk import LoginDesk, Step, encoded_step
from ib_platform.simulator.login_page import (
    FAILED,
    LIVE_USER_IN_PAPER_MODE,
    PAPER_USER_IN_LIVE_MODE,
    WRONG_PASSWORD,
)
from ib_platform.simulator.second_factor import SecondFactor, totp
from ib_platform.simulator.srp import LOGIN_GROUP, Client
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import SteppedClock
from ib_platform_tests.simulator.login_client import (
    LIVE,
    OTHER_PAPER,
    PAPER,
    PASSWORD,
    SECRET,
    USERS,
    live,
    logged_out,
)

PAGE = LoginPageParameters(push_confirmed_after=3.0, push_lifetime=60.0)


@dataclass
class Visitor:
    """Somebody at the login page."""

    desk: LoginDesk
    world: World
    clock: SteppedClock
    attempt: str = ""

    def prove(self, username: str, password: str = PASSWORD, paper: bool | None = None) -> Step:
        client = Client(LOGIN_GROUP, username, password)
        challenge = self.desk.begin(username, client.public, paper)
        self.attempt = challenge.attempt
        proof, _ = client.prove(challenge.salt, challenge.server_public)
        return self.desk.prove(self.attempt, proof)

    def code(self, shift: float = 0.0, secret: str = SECRET) -> str:
        return totp(secret, self.clock.wall() + shift)

    def is_let_in_as(self, user: SimulatedUser) -> bool:
        return self.desk.redeem(self.attempt) == user

    def begin(self, kind: FaultKind, username: str | None = None, **parameters: Any) -> None:
        self.world.faults.begin(
            kind, self.clock.now(), seconds=60, username=username, parameters=parameters
        )


def visitor(page: LoginPageParameters = PAGE, **session: Any) -> Visitor:
    clock = SteppedClock()
    world = World(USERS, seed=7, behaviour=logged_out(page, **session), clock=clock)
    return Visitor(LoginDesk(world), world, clock)


def error(text: str) -> Step:
    return Step("error", text)


def test_a_paper_user_is_let_in_once() -> None:
    guest = visitor()
    step = guest.prove("papera01", paper=True)
    assert step.name == "done"
    assert step.proof is not None
    assert guest.is_let_in_as(PAPER)
    assert guest.desk.redeem(guest.attempt) is None


def test_names_have_no_case() -> None:
    guest = visitor()
    assert guest.prove("PaperA01").name == "done"
    assert guest.is_let_in_as(PAPER)


@pytest.mark.parametrize("name", ["papera01", "nobody", ""])
def test_wrong_name_or_password(name: str) -> None:
    guest = visitor()
    assert guest.prove(name, "wrong") == error(WRONG_PASSWORD)
    assert guest.desk.redeem(guest.attempt) is None


def test_a_salt_stays_and_tells_nothing() -> None:
    desk = visitor().desk
    salts = {n: desk.begin(n, 2, None).salt for n in ("papera01", "paperb02", "nobody")}
    assert len(set(salts.values())) == 3
    assert salts == {n: desk.begin(n.upper(), 2, None).salt for n in salts}


@pytest.mark.parametrize(
    ("user", "paper", "text"),
    [
        (PAPER, False, PAPER_USER_IN_LIVE_MODE),
        (LIVE, True, LIVE_USER_IN_PAPER_MODE),
        (PAPER, True, None),
        (LIVE, False, None),
        (PAPER, None, None),
        (LIVE, None, None),
    ],
)
def test_modes(user: SimulatedUser, paper: bool | None, text: str | None) -> None:
    step = visitor().prove(user.username, paper=paper)
    assert step.text == (text or "")
    assert step.name == ("done" if text is None else "error")


def test_a_wrong_mode_is_told_only_to_who_knows_the_password() -> None:
    assert visitor().prove("papera01", "wrong", paper=False) == error(WRONG_PASSWORD)


def test_wrong_passwords_lock_one_user() -> None:
    guest = visitor(lock_after=3)
    locked = error(PAGE.locked_text)
    assert [guest.prove("papera01", "wrong") for _ in range(3)] == [
        error(WRONG_PASSWORD),
        error(WRONG_PASSWORD),
        locked,
    ]
    assert guest.prove("papera01") == locked, "the right password comes too late"
    assert guest.prove("paperb02").name == "done"
    assert guest.is_let_in_as(OTHER_PAPER)


def test_a_right_password_begins_the_count_anew() -> None:
    guest = visitor(lock_after=2)
    for _ in range(3):
        assert guest.prove("papera01", "wrong") == error(WRONG_PASSWORD)
        assert guest.prove("papera01", paper=False) == error(PAPER_USER_IN_LIVE_MODE)
    assert guest.prove("papera01", paper=True).name == "done"


def test_a_user_who_was_locked_by_a_fault() -> None:
    guest = visitor()
    guest.begin(FaultKind.USER_LOCKED, "papera01")
    assert guest.prove("papera01") == error(PAGE.locked_text)


def test_codes() -> None:
    guest = visitor()
    assert guest.prove("live-totp").name == "code"
    assert guest.desk.redeem(guest.attempt) is None, "a password alone is not enough"
    guest.prove("live-totp")
    assert guest.desk.enter_code(guest.attempt, guest.code(-30)).name == "done"
    assert guest.is_let_in_as(live(SecondFactor.TOTP))


def test_a_wrong_code_ends_the_attempt() -> None:
    guest = visitor()
    guest.prove("live-totp")
    assert guest.desk.enter_code(guest.attempt, guest.code(600)) == error(FAILED)
    assert guest.desk.enter_code(guest.attempt, guest.code()) == error(FAILED)


def test_codes_of_users_without_a_secret_of_their_own() -> None:
    clock = SteppedClock()
    user = live(SecondFactor.TOTP, totp_secret=None)
    world = World([user], seed=7, behaviour=logged_out(PAGE), clock=clock)
    guest = Visitor(LoginDesk(world), world, clock)
    guest.prove(user.username)
    code = guest.code(secret=PAGE.totp_secret)
    assert guest.desk.enter_code(guest.attempt, code).name == "done"


def test_a_notification() -> None:
    guest = visitor()
    assert guest.prove("live-push").name == "notification"
    assert guest.desk.poll(guest.attempt).name == "waiting"
    guest.clock.advance(3)
    assert guest.desk.poll(guest.attempt).name == "done"
    assert guest.is_let_in_as(live(SecondFactor.PUSH))


def test_a_notification_that_nobody_sees() -> None:
    guest = visitor(replace(PAGE, push_confirmed_after=None))
    guest.prove("live-push")
    guest.clock.advance(59)
    assert guest.desk.send_again(guest.attempt).name == "waiting"
    guest.clock.advance(59)
    assert guest.desk.poll(guest.attempt).name == "waiting"
    guest.clock.advance(1)
    assert guest.desk.poll(guest.attempt) == error(FAILED)
    assert guest.desk.redeem(guest.attempt) is None


@pytest.mark.parametrize(
    ("device", "next_step"), [("IB Key", "notification"), ("Mobile Authenticator App", "code")]
)
def test_devices(device: str, next_step: str) -> None:
    guest = visitor()
    step = guest.prove("live-select")
    assert step.name == "devices"
    assert device in step.devices
    assert guest.desk.choose(guest.attempt, device).name == next_step


def test_a_device_that_is_not_there() -> None:
    guest = visitor()
    guest.prove("live-select")
    assert guest.desk.choose(guest.attempt, "Pigeon") == error(FAILED)


def test_steps_out_of_order() -> None:
    guest = visitor()
    desk = guest.desk
    for name in ("", "unknown"):
        assert desk.prove(name, b"") == error(FAILED)
        assert desk.choose(name, "IB Key") == error(FAILED)
        assert desk.enter_code(name, "123456") == error(FAILED)
        assert desk.poll(name) == error(FAILED)
        assert desk.send_again(name) == error(FAILED)
        assert desk.redeem(name) is None
    guest.prove("live-totp")
    assert desk.poll(guest.attempt) == error(FAILED), "no notification was sent"
    challenge = desk.begin("papera01", 2, None)
    assert desk.redeem(challenge.attempt) is None, "nothing has been proved"


def test_abandoned_attempts_are_forgotten() -> None:
    desk = LoginDesk(visitor().world, most_attempts=3)
    first, *_, last = [desk.begin("papera01", 2, None).attempt for _ in range(4)]
    assert desk.prove(first, b"x") == error(FAILED)
    assert desk.prove(last, b"x") == error(WRONG_PASSWORD)


def test_paper_users_may_be_asked_too() -> None:
    guest = visitor(replace(PAGE, second_factor_for_paper=SecondFactor.TOTP))
    assert guest.prove("papera01").name == "code"
    assert guest.prove("live-push").name == "notification", "live users have their own"


def test_an_advertisement_stands_before_the_end() -> None:
    guest = visitor(replace(PAGE, ibkey_promo=True))
    assert guest.prove("papera01").name == "promo"
    assert guest.is_let_in_as(PAPER)


def test_the_page_changes_while_a_fault_lasts() -> None:
    guest = visitor()
    guest.begin(
        FaultKind.LOGIN_PAGE, "papera01", generation="third", second_factor=SecondFactor.TOTP
    )
    assert guest.desk.page("PAPERA01").generation is PageGeneration.THIRD
    assert guest.desk.page("paperb02").generation is PageGeneration.FIRST
    assert guest.desk.page(None).generation is PageGeneration.FIRST
    assert guest.prove("papera01").name == "code"
    assert guest.prove("paperb02").name == "done"
    guest.clock.advance(60)
    assert guest.desk.page("papera01").generation is PageGeneration.FIRST
    assert guest.prove("papera01").name == "done"


def test_what_the_fault_does_not_name_stays() -> None:
    guest = visitor(replace(PAGE, generation=PageGeneration.THIRD))
    guest.begin(FaultKind.LOGIN_PAGE, second_factor="push")
    assert guest.desk.page("papera01").generation is PageGeneration.THIRD
    assert guest.prove("papera01").name == "notification"
    guest.clock.advance(60)
    guest.begin(FaultKind.LOGIN_PAGE, generation="second")
    assert guest.prove("live-totp").name == "code"


@pytest.mark.parametrize("text", ["failed", "Service unavailable"])
def test_logins_fail_while_a_fault_lasts(text: str) -> None:
    guest = visitor(lock_after=1)
    guest.begin(FaultKind.LOGIN_FAILS, text=text)
    assert guest.prove("papera01") == error(text)
    assert guest.prove("papera01", "wrong") == error(text)
    assert guest.prove("nobody") == error(text)
    guest.clock.advance(60)
    assert guest.prove("papera01").name == "done", "and nobody was locked by it"


def test_steps_as_the_page_reads_them() -> None:
    assert encoded_step(Step("done", proof=b"\x01\xff")) == {"step": "done", "M2": "01ff"}
    assert encoded_step(error("no")) == {"step": "error", "text": "no"}
    assert encoded_step(Step("devices", devices=("a",))) == {"step": "devices", "devices": ["a"]}
