"""The people whom the simulated IBKR knows: credentials, account, entitlements."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ib_platform.config import PaperUser
from ib_platform.simulator.second_factor import SecondFactor, decoded_secret


class AccountKind(StrEnum):
    """What ``LOGIN_TYPE`` (1 live, 2 paper) and ``isPaper`` tell about a login."""

    LIVE = "live"
    PAPER = "paper"


Availability = Annotated[str, Field(pattern=r"\A[RDZYNOi][A-Za-z]{0,3}\z")]
"""Field 6509: a letter for the timeliness, then letters for more (Web API page, section 2.2)."""


class SimulatedUser(BaseModel):
    """One username. ``second_factor`` is what the login page asks a live user for; ``totp_secret``
    (base32) makes its codes, None = ``login_page.totp_secret`` of the behaviour. ``authenticates``
    false is the TOTP trap: the page says success, the API session stays unauthenticated for ever.
    ``availability`` is field 6509 of its market data."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    username: str = Field(min_length=1)
    password: str = Field(min_length=1, repr=False)
    account: str = Field(min_length=1)
    kind: AccountKind = AccountKind.PAPER
    second_factor: SecondFactor = SecondFactor.NONE
    totp_secret: str | None = Field(default=None, repr=False)
    authenticates: bool = True
    availability: Availability = "RB"
    depth_slots: int = Field(default=3, ge=0, le=60)

    @field_validator("totp_secret")
    @classmethod
    def _check_secret(cls, secret: str | None) -> str | None:
        if secret is not None:
            decoded_secret(secret)
        return secret

    @model_validator(mode="after")
    def _check_second_factor(self) -> SimulatedUser:
        if self.is_paper and self.second_factor is not SecondFactor.NONE:
            raise ValueError(
                "a paper user is not asked for a second factor. Make it kind: live, or set "
                "behaviour.login_page.second_factor_for_paper for all paper users"
            )
        return self

    @property
    def is_paper(self) -> bool:
        return self.kind is AccountKind.PAPER

    @classmethod
    def of(cls, user: PaperUser) -> SimulatedUser:
        """A configured paper user, with the simulator's password for it."""
        return cls(
            username=user.username,
            password=simulated_password(user.username),
            account=user.account,
            depth_slots=user.depth_slots,
        )


def simulated_password(username: str) -> str:
    """Password of a configured paper user at the simulator. No secret: nothing real opens."""
    return f"simulated-{username}"
