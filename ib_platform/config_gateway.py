"""Sections of the configuration about the gateway sidecar: program, login, session, request budget.

Each is immutable and strict about unknown keys. Descriptions and defaults here are what
docs/configuration.md shows.
"""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
POD_CALLS_PER_SECOND = 9
"""Of the ten that IBKR allows one gateway (``ibkr_web_api.md`` section 2.3): one is left for tools
that are run beside a pod, like ``ib-platform record``."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Section(BaseModel):
    """A part of the configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Credentials(Section):
    """Where the password of a paper user is read from, anew at each login. Exactly one of them."""

    password_file: Path | None = Field(default=None, description="File with the password, 0600")
    folder: Path | None = Field(
        default=None,
        description="Folder with a file `password`, and perhaps `username` (a mounted Secret)",
    )
    keyring_service: str | None = Field(
        default=None, min_length=1, description="Service of the system's keyring (laptops)"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.password_file, self.folder, self.keyring_service]
        if sum(source is not None for source in given) != 1:
            raise ValueError("give exactly one of password_file, folder and keyring_service")
        return self


class SimulatedGateway(Section):
    """What the simulator plays when ``gateway.program`` is ``simulator``."""

    seed: int = 1
    scenario: str | None = Field(
        default=None, description="Name of a scenario, or a .yaml file with one"
    )
    logged_in: bool = Field(
        default=True, description="It starts with a login, as after a browser login long ago"
    )
    control_port: Port | None = Field(
        default=None,
        description="Of the first paper user's pod, the next one has the next; else free",
    )
    replay: Path | None = Field(default=None, description="Recorded capture (.jsonl or .jsonl.gz)")
    replay_paper_user: Name | None = Field(default=None, description="Who plays it; else the first")
    replay_rest: bool = Field(default=False, description="Recorded REST answers are served too")
    replay_torn: bool = Field(default=False, description="Play a capture without a proper end")
    speed: float = Field(default=1.0, gt=0, description="Time scale of the replay")
    max_pause: float | None = Field(default=None, gt=0, description="Longest pause, seconds")


class JavaGateway(Section):
    """IBKR's own gateway program, when ``gateway.program`` is ``java``."""

    folder: Path = Field(description="Unpacked clientportal.gw.zip: has dist/ and build/")
    java: str = Field(default="java", description="Java 8u192 or newer: a name on PATH, or a path")
    upstream: str = Field(
        default="https://api.ibkr.com",
        pattern=r"^https?://[A-Za-z0-9.:-]+$",
        description="Servers behind it (proxyRemoteHost)",
    )
    region: str = Field(default="US", description="ip2loc of its conf.yaml")
    memory_megabytes: int = Field(default=512, ge=64, description="Largest heap")


class Locators(Section):
    """CSS selectors of the login page; IBKR changes it without notice.

    The defaults find both page generations of ``ibkr_web_api.md`` section 1.3 and the one of the
    observed page.
    """

    username: str = '[name="user_name"], [name="username"], #xyz-field-username'
    password: str = '[name="password"], #xyz-field-password'
    submit: str = ".btn.btn-lg.xyz-button-login, button[type=submit]"
    toggle: str = "label[for=toggle1]"
    toggle_state: str = "#toggle1"
    error: str = ".alert.alert-danger.margin-top-10, .xyz-errormessage"
    second_factor: str = (
        "#twofactbase, .login-step-notification, "
        "#xyz-field-bronze-response, #xyz-field-silver-response"
    )
    promo_skip: str = ".ibkey-promo-skip"
    success_text: str = Field(
        default="Client login succeeds", description="Text of the last page; proves nothing"
    )


class BrowserLogin(Section):
    """How the browser logs in. Seconds."""

    chromium: Path | None = Field(default=None, description="Chromium; else found on PATH")
    sandbox: bool = Field(default=True, description="Chromium's own; always off for root")
    path: str = Field(default="/sso/Login?forwardTo=22&RL=1&ip2loc=on", pattern="^/")
    page_timeout: float = Field(default=30, gt=0, description="Until the page has its fields")
    step_timeout: float = Field(default=20, gt=0, description="Until it answers a click")
    keep_failures: int = Field(default=10, ge=0, description="Failed logins kept, as pictures")
    locators: Locators = Locators()


class ExpectedOutage(Section):
    """A span in which IBKR is expected to be away: the pod waits instead of healing itself."""

    days: tuple[Weekday, ...] = Field(
        default=_WEEKDAYS, min_length=1, description="Days (in `timezone`) on which it begins"
    )
    begin: time = Field(description="Local time, like 23:45")
    minutes: int = Field(ge=1, le=24 * 60)
    timezone: str = "America/New_York"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            # A folder of zones, like America, is an OSError.
            raise ValueError(f"{name!r} is no IANA time zone like America/New_York") from error
        return name

    @field_validator("begin", mode="before")
    @classmethod
    def _local_time(cls, value: object) -> object:
        # YAML reads an unquoted 23:45 as the number 1425 (base 60).
        if type(value) is int and 0 <= value < 24 * 60:
            return time(value // 60, value % 60)
        if isinstance(value, time):
            return value
        if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d(:\d\d)?", value):
            return value
        raise ValueError("the begin is a local time that looks like 23:45")


class SessionPolicy(Section):
    """How hard a pod tries for its brokerage session, and when it stops. Seconds."""

    competing: Literal["yield", "take_over"] = Field(
        default="yield", description="When another login of this user holds the session"
    )
    takeovers_per_hour: int = Field(default=2, ge=1, le=10)
    failed_logins: int = Field(
        default=3, ge=1, le=10, description="Refused logins in a row, then LOCKED"
    )
    logins_per_hour: int = Field(default=4, ge=1, le=30)
    logins_per_day: int = Field(default=12, ge=1, le=200, description="In any 24 hours")
    auth_grace: float = Field(
        default=60, ge=10, le=3600, description="Logged in, not authenticated: an alarm after this"
    )
    restart_after: float = Field(
        default=180, gt=0, description="Beyond the milder cures: the gateway program is restarted"
    )
    restarts_per_hour: int = Field(default=2, ge=0, le=20, description="Of the gateway program")
    expected_outages: tuple[ExpectedOutage, ...] = (
        ExpectedOutage(begin=time(23, 45), minutes=120),
        ExpectedOutage(days=("sat",), begin=time(18, 0), minutes=480),
    )


class Pacing(Section):
    """Requests a second of the gateway's ten, and the pause after IBKR has refused one."""

    supervisor_per_second: int = Field(default=2, ge=1, le=9)
    streamer_per_second: int = Field(default=3, ge=1, le=9)
    penalty_pause: float = Field(
        default=900, ge=1, le=86_400, description="Seconds without any request after a 429"
    )

    @model_validator(mode="after")
    def _within_the_gateways(self) -> Self:
        together = self.supervisor_per_second + self.streamer_per_second
        if together > POD_CALLS_PER_SECOND:
            raise ValueError(
                f"supervisor_per_second and streamer_per_second make {together} together; IBKR "
                f"allows a gateway 10, and one is for tools: at most {POD_CALLS_PER_SECOND}"
            )
        return self


class Gateway(Section):
    """The gateway program that each pod's supervisor runs, and how its session is kept."""

    program: Literal["simulator", "java"] = "simulator"
    simulator: SimulatedGateway = SimulatedGateway()
    java: JavaGateway | None = None
    login: BrowserLogin = BrowserLogin()
    session: SessionPolicy = SessionPolicy()
    pacing: Pacing = Pacing()

    @model_validator(mode="after")
    def _java_is_there(self) -> Self:
        if self.program == "java" and self.java is None:
            raise ValueError("program java needs the section gateway.java with its folder")
        return self
