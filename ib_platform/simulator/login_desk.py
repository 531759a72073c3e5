"""Who may come in: the steps behind the login page, one after the other. No I/O.

``begin`` and ``prove`` are the two halves of an SRP exchange; then a second factor may be asked
for; ``redeem`` gives the user who has passed everything, once. An error ends the attempt: the page
begins a new one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.login_page import (
    FAILED,
    LIVE_USER_IN_PAPER_MODE,
    PAPER_USER_IN_LIVE_MODE,
    WRONG_PASSWORD,
)
from ib_platform.simulator.second_factor import (
    DEVICES,
    Answer,
    Notification,
    SecondFactor,
    is_right_code,
)
from ib_platform.simulator.session_states import PasswordAnswer
from ib_platform.simulator.srp import LOGIN_GROUP, Server
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World


class _Stage(StrEnum):
    """What the attempt waits for."""

    PROOF = "proof"
    CODE = "code"
    DEVICE = "device"
    NOTIFICATION = "notification"
    REDEMPTION = "redemption"


@dataclass
class _Attempt:
    """One login on its way. ``user`` None: there is none of that name."""

    user: SimulatedUser | None
    wants_paper: bool | None
    server: Server
    stage: _Stage = _Stage.PROOF
    notification: Notification | None = None


@dataclass(frozen=True)
class Challenge:
    """First answer of the exchange. ``attempt`` names it in what follows."""

    attempt: str
    salt: bytes
    server_public: int


@dataclass(frozen=True)
class Step:
    """What the page shows next: ``error`` with its text, ``code``, ``devices``, ``notification``,
    ``waiting``, ``promo`` or ``done``. ``proof``: the server's own, after a right password."""

    name: str
    text: str = ""
    devices: tuple[str, ...] = ()
    proof: bytes | None = None


class LoginDesk:
    """The attempts of one face. Steps of an unknown attempt, or out of order, are an error.
    ``most_attempts``: those that nobody goes on with are forgotten, oldest first."""

    def __init__(self, world: World, *, most_attempts: int = 256) -> None:
        self._world = world
        self._most_attempts = most_attempts
        self._attempts: dict[str, _Attempt] = {}

    def page(self, username: str | None) -> LoginPageParameters:
        """How the page looks now to somebody whose faults are those of ``username``."""
        parameters = self._world.behaviour.login_page
        fault = self._world.fault(FaultKind.LOGIN_PAGE, username)
        if fault is None or "generation" not in fault.parameters:
            return parameters
        return replace(parameters, generation=PageGeneration(str(fault["generation"])))

    def begin(self, username: str, client_public: int, wants_paper: bool | None) -> Challenge:
        """Somebody says who they are. A name that is not known goes through the same motions.

        Raises:
            ValueError: ``client_public`` is no number of the exchange.
        """
        user = self._world.user(username)
        salt = hashlib.sha256(f"{self._world.seed}/{username.lower()}".encode()).digest()[:16]
        password = secrets.token_hex() if user is None else user.password
        server = Server(
            LOGIN_GROUP,
            username=username,
            password=password,
            salt=salt,
            client_public=client_public,
        )
        name = secrets.token_hex(16)
        self._attempts[name] = _Attempt(user, wants_paper, server)
        while len(self._attempts) > self._most_attempts:
            del self._attempts[next(iter(self._attempts))]
        return Challenge(name, salt, server.public)

    def prove(self, name: str, proof: bytes) -> Step:
        """The second half: who knows the password, comes to the next step."""
        attempt = self._at(name, _Stage.PROOF)
        if attempt is None:
            return self._error(name, FAILED)
        user = attempt.user
        fault = self._world.fault(FaultKind.LOGIN_FAILS, None if user is None else user.username)
        if fault is not None:
            return self._error(name, str(fault["text"]))
        if user is None:
            return self._error(name, WRONG_PASSWORD)
        match self._world.sessions(user.username).check_password(attempt.server.proves(proof)):
            case PasswordAnswer.LOCKED:
                return self._error(name, self._world.behaviour.login_page.locked_text)
            case PasswordAnswer.WRONG:
                return self._error(name, WRONG_PASSWORD)
            case PasswordAnswer.RIGHT:
                pass
        if attempt.wants_paper not in (None, user.is_paper):
            wrong_mode = PAPER_USER_IN_LIVE_MODE if user.is_paper else LIVE_USER_IN_PAPER_MODE
            return self._error(name, wrong_mode)
        step = self._ask_for(attempt, self._second_factor_of(user))
        return replace(step, proof=attempt.server.answer)

    def choose(self, name: str, device: str) -> Step:
        """One of the devices of the dropdown."""
        attempt = self._at(name, _Stage.DEVICE)
        if attempt is None or device not in DEVICES:
            return self._error(name, FAILED)
        return self._ask_for(attempt, DEVICES[device])

    def enter_code(self, name: str, code: str) -> Step:
        attempt = self._at(name, _Stage.CODE)
        if attempt is None or attempt.user is None:
            return self._error(name, FAILED)
        parameters = self._world.behaviour.login_page
        secret = attempt.user.totp_secret or parameters.totp_secret
        wall = self._world.clock.wall()
        if not is_right_code(secret, code, wall, periods=parameters.totp_periods):
            return self._error(name, FAILED)
        return self._let_in(attempt)

    def poll(self, name: str) -> Step:
        """What has become of the notification."""
        attempt = self._at(name, _Stage.NOTIFICATION)
        if attempt is None or attempt.notification is None:
            return self._error(name, FAILED)
        match attempt.notification.at(self._world.clock.now()):
            case Answer.WAITING:
                return Step("waiting")
            case Answer.CONFIRMED:
                return self._let_in(attempt)
            case Answer.EXPIRED:
                return self._error(name, FAILED)

    def send_again(self, name: str) -> Step:
        """Another notification, if one is waited for."""
        attempt = self._at(name, _Stage.NOTIFICATION)
        if attempt is None or attempt.notification is None:
            return self._error(name, FAILED)
        attempt.notification.send_again(self._world.clock.now())
        return Step("waiting")

    def redeem(self, name: str) -> SimulatedUser | None:
        """Who has passed everything; None for anybody else. The attempt is over."""
        attempt = self._at(name, _Stage.REDEMPTION)
        self._attempts.pop(name, None)
        return None if attempt is None else attempt.user

    def _second_factor_of(self, user: SimulatedUser) -> SecondFactor:
        fault = self._world.fault(FaultKind.LOGIN_PAGE, user.username)
        if fault is not None and "second_factor" in fault.parameters:
            return SecondFactor(str(fault["second_factor"]))
        if user.is_paper:
            return self._world.behaviour.login_page.second_factor_for_paper
        return user.second_factor

    def _ask_for(self, attempt: _Attempt, factor: SecondFactor) -> Step:
        match factor:
            case SecondFactor.TOTP:
                attempt.stage = _Stage.CODE
                return Step("code")
            case SecondFactor.SELECT:
                attempt.stage = _Stage.DEVICE
                return Step("devices", devices=tuple(DEVICES))
            case SecondFactor.PUSH:
                page = self._world.behaviour.login_page
                attempt.stage = _Stage.NOTIFICATION
                attempt.notification = Notification(
                    self._world.clock.now(), page.push_confirmed_after, page.push_lifetime
                )
                return Step("notification")
            case SecondFactor.NONE:
                return self._let_in(attempt)

    def _let_in(self, attempt: _Attempt) -> Step:
        attempt.stage = _Stage.REDEMPTION
        return Step("promo" if self._world.behaviour.login_page.ibkey_promo else "done")

    def _at(self, name: str, stage: _Stage) -> _Attempt | None:
        attempt = self._attempts.get(name)
        return attempt if attempt is not None and attempt.stage is stage else None

    def _error(self, name: str, text: str) -> Step:
        self._attempts.pop(name, None)
        return Step("error", text)


def encoded_step(step: Step) -> Mapping[str, object]:
    """The step as the page's script reads it."""
    body: dict[str, object] = {"step": step.name}
    if step.text:
        body["text"] = step.text
    if step.devices:
        body["devices"] = list(step.devices)
    if step.proof is not None:
        body["M2"] = step.proof.hex()
    return body
