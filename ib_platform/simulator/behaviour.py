"""Every named parameter of the simulation, in one tree. A scenario's ``behaviour`` sets them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from ib_platform.simulator.catalogue import CatalogueParameters
from ib_platform.simulator.greeting import GreetingParameters
from ib_platform.simulator.history import HistoryParameters
from ib_platform.simulator.hours import HoursParameters
from ib_platform.simulator.ladder_view import LadderParameters
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.outages import OutageParameters
from ib_platform.simulator.pacing import PacingParameters
from ib_platform.simulator.parameters import Count, Seconds, Share, Span, parameters
from ib_platform.simulator.second_factor import SecondFactor, decoded_secret
from ib_platform.simulator.session_states import SessionParameters
from ib_platform.simulator.snapshots import SnapshotParameters
from ib_platform.states import LadderMode


def _checked_secret(secret: str) -> str:
    decoded_secret(secret)
    return secret


ElementId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
TotpSecret = Annotated[str, AfterValidator(_checked_secret)]


class PageGeneration(StrEnum):
    """Element names of the login page: ibeam's ``v1`` and ``v2``, and the one with
    ``#xyz-field-username``."""

    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


@parameters
class GatewayParameters:
    """The simulated gateway program (face A). ``logged_in``: it starts with an SSO login of its
    paper user, as after a browser login long ago. ``auto_init``: it starts the brokerage session
    ``auth_delay`` seconds after a login by itself, as the real program does."""

    logged_in: bool = True
    auto_init: bool = True
    auth_delay: Seconds = 3.0


class CookielessCalls(StrEnum):
    """Whose call it is at face B when no cookie tells: that of the only login, or nobody's."""

    SOLE_LOGIN = "sole_login"
    REFUSED = "refused"


@parameters
class UpstreamParameters:
    """IBKR as it stands behind a gateway program (face B)."""

    without_cookie: CookielessCalls = CookielessCalls.SOLE_LOGIN


@parameters
class LoginPageParameters:
    """``toggle``: whether the live/paper switch is shown; without it any user may log in.
    ``default_paper``: where it stands. ``code_field``, ``device_field``: ids of the input for a
    code and of the dropdown of devices (IBKR has renamed them). ``ibkey_promo``: an advertisement
    with a skip button stands before the end.

    Live users are asked for their own second factor, paper users for ``second_factor_for_paper``.
    ``totp_secret``: base32, of users without one of their own; ``totp_periods``: how many periods
    of 30 s a code may be off. ``push_confirmed_after``: when the user taps on the notification,
    None = never; ``push_lifetime``: how long it can be tapped on. ``locked_text``: what a locked
    user reads; IBKR's wording is not known."""

    generation: PageGeneration = PageGeneration.FIRST
    toggle: bool = True
    default_paper: bool = False
    code_field: ElementId = "xyz-field-bronze-response"
    device_field: ElementId = "xyz-field-bronze-response"
    ibkey_promo: bool = False
    second_factor_for_paper: SecondFactor = SecondFactor.NONE
    totp_secret: TotpSecret = Field(default="JBSWY3DPEHPK3PXP", repr=False)
    totp_periods: Annotated[int, Field(ge=0, le=100)] = 1
    push_confirmed_after: Seconds | None = 3.0
    push_lifetime: Seconds = 60.0
    locked_text: str = "Too many failed login attempts: this user has been locked."


@parameters
class QuoteParameters:
    """``answer_delay``: request to first frame. ``lifetime``: a subscription ends silently after
    this. ``first_twice_share``: how often the first frame comes twice. ``bare_first_share``: how
    often it carries what is known of the contract only, and the values come a sample later. Both
    shares and the delay as in the recorded frames (52 and 43 of 207)."""

    sampled_every: Seconds = 0.5
    answer_delay: Span = (0.0, 0.3)
    lifetime: Seconds = 900.0
    first_twice_share: Share = 0.25
    bare_first_share: Share = 0.2


@parameters
class SeveralLaddersParameters:
    """``most`` None: the user's ``depth_slots``; one beyond it stays silent, and ``notify_full``
    adds an ``ntf``. ``lifetime`` None: ladders do not expire (not known of IBKR).
    ``survive_session``: ladders and quotes go on when a lost brokerage session has come back;
    else the client has to ask again (not known either)."""

    mode: LadderMode = LadderMode.MULTIPLEX
    most: Count | None = None
    lifetime: Seconds | None = None
    notify_full: bool = False
    survive_session: bool = False


@parameters
class Behaviour:
    """Times in seconds. ``cadence``: grid of ladder frames. ``greeting_delay``: until the first
    frame of a websocket; what the client sends a gateway before is dropped."""

    cadence: Seconds = 0.3
    greeting_delay: Seconds = 0.1
    heartbeat_every: Seconds = 10.0
    greeting: GreetingParameters = Field(default_factory=GreetingParameters)
    session: SessionParameters = Field(default_factory=SessionParameters)
    outages: OutageParameters = Field(default_factory=OutageParameters)
    catalogue: CatalogueParameters = Field(default_factory=CatalogueParameters)
    hours: HoursParameters = Field(default_factory=HoursParameters)
    market: MarketParameters = Field(default_factory=MarketParameters)
    ladder: LadderParameters = Field(default_factory=LadderParameters)
    ladders: SeveralLaddersParameters = Field(default_factory=SeveralLaddersParameters)
    quotes: QuoteParameters = Field(default_factory=QuoteParameters)
    snapshots: SnapshotParameters = Field(default_factory=SnapshotParameters)
    history: HistoryParameters = Field(default_factory=HistoryParameters)
    pacing: PacingParameters = Field(default_factory=PacingParameters)
    login_page: LoginPageParameters = Field(default_factory=LoginPageParameters)
    gateway: GatewayParameters = Field(default_factory=GatewayParameters)
    upstream: UpstreamParameters = Field(default_factory=UpstreamParameters)
