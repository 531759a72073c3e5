"""Scenarios: a named evening with IBKR, written down in YAML.

    name: flaky_evening
    description: what happens, in a sentence
    at_ibkr: what a user of real IBKR would see
    behaviour: {session: {idle_timeout: 60}}      # any named parameter of the simulation
    users: [{username: livea01, account: U1000001, kind: live, second_factor: totp}]   # or "*"
    scripted: {CL: book.yaml}                     # books instead of the synthetic market
    clock: {scale: 60, start: 2026-11-20T15:55:00-06:00}
    faults:
      - {fault: websocket_closed, at: 2m, parameters: {code: 1006}}
      - {fault: silent_ladder, every: 5m, probability: 0.5, for: 40s, symbol: CL}

``at``: seconds after the start. ``every``: again and again, first at ``at`` (else after the first
span). ``probability``: chance of each occurrence, drawn from the seed. ``for``: how long; without
it a lasting fault stays until it is stopped. ``paper_user`` (``first``: the first configured one)
or ``username``: only there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ib_platform.config import PaperUser
from ib_platform.config_errors import Lines, line_of
from ib_platform.errors import ConfigurationError
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.durations import Duration
from ib_platform.simulator.fault_kinds import (
    SPECS,
    FaultKind,
    Value,
    checked_parameters,
    kind_called,
)
from ib_platform.simulator.second_factor import SecondFactor
from ib_platform.simulator.users import (
    AccountKind,
    Availability,
    SimulatedUser,
    simulated_password,
)

_SHORTEST_PERIOD = 0.1
FASTEST = 100_000.0
"""Times as fast as the machine's clock, at most: a day in a second."""
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
EVERY_USER = "*"


def _kind(value: Any) -> Any:
    return kind_called(value) if isinstance(value, str) else value


def within_calendar(instant: datetime) -> str | None:
    """None for an aware instant at which a simulation can begin, else the reason why not."""
    try:
        year = instant.astimezone(UTC).year
    except OverflowError:
        year = instant.year
    if _FIRST_YEAR <= year < _LAST_YEAR:
        return None
    return f"the simulated calendar begins with {_FIRST_YEAR} and ends before {_LAST_YEAR}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ScheduledFault(_Strict):
    """One line of a scenario's ``faults``. Times are simulated seconds."""

    model_config = ConfigDict(populate_by_name=True)

    fault: Annotated[FaultKind, BeforeValidator(_kind)]
    at: Duration | None = None
    every: Duration | None = None
    probability: float = Field(default=1.0, ge=0, le=1)
    seconds: Duration | None = Field(default=None, alias="for")
    paper_user: str | None = None
    username: str | None = None
    symbol: str | None = None
    parameters: dict[str, Value] = {}

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.at is None and self.every is None:
            raise ValueError("a fault needs 'at' or 'every'")
        if self.every is not None and self.every < _SHORTEST_PERIOD:
            raise ValueError(f"'every' must be at least {_SHORTEST_PERIOD} seconds")
        if self.seconds is not None and SPECS[self.fault].instant:
            raise ValueError(f"{self.fault} happens at once and is over: it takes no 'for'")
        lasts = self.seconds is None and not SPECS[self.fault].instant
        if self.every is not None and lasts:
            raise ValueError(f"{self.fault} lasts: with 'every' it needs 'for'")
        if self.symbol is not None and not SPECS[self.fault].by_symbol:
            raise ValueError(f"{self.fault} cannot be limited to a symbol")
        if self.paper_user is not None and self.username is not None:
            raise ValueError("give 'paper_user' or 'username', not both")
        return self

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, given: dict[str, Value], info: ValidationInfo) -> dict[str, Value]:
        kind = info.data.get("fault")
        return given if kind is None else checked_parameters(kind, given)


class UserChange(_Strict):
    """Another user whom IBKR knows, or changes to a configured one (found by ``username``, ``*``:
    every configured one)."""

    username: str = Field(min_length=1)
    password: str | None = Field(default=None, repr=False)
    account: str | None = None
    kind: AccountKind | None = None
    second_factor: SecondFactor | None = None
    totp_secret: str | None = Field(default=None, repr=False)
    authenticates: bool | None = None
    availability: Availability | None = None
    depth_slots: Annotated[int, Field(ge=0, le=60)] | None = None


class ScenarioClock(_Strict):
    """``scale``: how many times as fast as the machine's. ``start``: with time zone."""

    scale: float = Field(default=1.0, gt=0, le=FASTEST)
    start: datetime | None = None

    @field_validator("start")
    @classmethod
    def _can_begin(cls, start: datetime | None) -> datetime | None:
        if start is not None and start.tzinfo is None:
            raise ValueError("it needs a time zone, like 2026-11-20T15:55:00-06:00")
        if start is not None and (problem := within_calendar(start)) is not None:
            raise ValueError(problem)
        return start


class Scenario(_Strict):
    """A checked scenario. ``scripted`` paths are absolute after loading."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    at_ibkr: str = Field(min_length=1)
    seed: int | None = None
    behaviour: Behaviour = Field(default_factory=Behaviour)
    users: tuple[UserChange, ...] = ()
    scripted: dict[str, Path] = {}
    clock: ScenarioClock = ScenarioClock()
    faults: tuple[ScheduledFault, ...] = ()

    _file: Path | None = PrivateAttr(default=None)
    _lines: Lines = PrivateAttr(default_factory=dict)

    def changed(
        self,
        *,
        seed: int | None = None,
        scale: float | None = None,
        start: datetime | None = None,
        logged_in: bool | None = None,
    ) -> Self:
        """With other values; None leaves one as it is."""
        clock = {"scale": scale, "start": start}
        given = {name: value for name, value in clock.items() if value is not None}
        behaviour = self.behaviour
        if logged_in is not None:
            gateway = replace(behaviour.gateway, logged_in=logged_in)
            behaviour = replace(behaviour, gateway=gateway)
        return self.model_copy(
            update={
                "seed": self.seed if seed is None else seed,
                "clock": self.clock.model_copy(update=given),
                "behaviour": behaviour,
            }
        )

    def read_from(self, file: Path, lines: Lines) -> Self:
        """Remember where it stands, for ``where``."""
        self._file, self._lines = file, lines
        return self

    def where(self, *location: str | int) -> str:
        """File and line of a part of it, for messages."""
        if self._file is None:
            return f"scenario {self.name}, {'.'.join(str(part) for part in location)}"
        return f"{self._file}, line {line_of(location, self._lines)}"

    def users_with(self, configured: tuple[PaperUser, ...]) -> tuple[SimulatedUser, ...]:
        """The configured paper users as changed here, and the additional ones.

        Raises:
            ConfigurationError: an additional user without an account, or a change that makes no
                sense for its user.
        """
        known = {user.username.lower(): SimulatedUser.of(user) for user in configured}
        paper_users = tuple(known)
        for number, change in enumerate(self.users):
            key = change.username.lower()
            changes = change.model_dump(exclude_none=True, exclude={"username"})
            for each in paper_users if key == EVERY_USER else (key,):
                known[each] = self._changed(number, known.get(each), change.username, changes)
        return tuple(known.values())

    def _changed(
        self, number: int, user: SimulatedUser | None, username: str, changes: dict[str, Any]
    ) -> SimulatedUser:
        where = self.where("users", number)
        if user is None and "account" not in changes:
            raise ConfigurationError(
                f"{where}: user {username} is not one of the configured paper users and has no "
                "account; add one, like account: U1000001"
            )
        before = (
            {"username": username, "password": simulated_password(username)}
            if user is None
            else user.model_dump()
        )
        try:
            return SimulatedUser.model_validate(before | changes)
        except ValidationError as error:
            problems = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
            raise ConfigurationError(f"{where}: user {username}: {'; '.join(problems)}") from None
