"""The login page as a browser sees it, in steps. Imports Playwright: load it to log in only.

Names of its elements come from the configuration; what the steps are, from ``ibkr_web_api.md``
section 1.3 and ``ibkr_ladder_observed.md``.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

from playwright.async_api import Locator, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from ib_platform.config_gateway import BrowserLogin
from ib_platform.credentials import LoginCredentials
from ib_platform.ibkr.login_outcome import LoginOutcome

_SETTINGS = "gateway.login.locators"
_FIELDS = ("username", "password", "submit")
_ANY_TEXT = re.compile(r"\S")


class LoginStopped(Exception):
    """The page does not let a login go on. ``detail`` is not redacted."""

    def __init__(self, outcome: LoginOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


class AnswerKind(StrEnum):
    """What the page shows after a click. If it shows several at once, the first of these."""

    SECOND_FACTOR = "second_factor"
    ERROR = "error"
    SUCCESS = "success"
    PROMO = "promo"


@dataclass(frozen=True)
class Answer:
    """``text``: of an error; empty for anything else."""

    kind: AnswerKind
    text: str = ""


class Deadline:
    """Seconds from now on that several calls share."""

    def __init__(self, seconds: float) -> None:
        self._end = asyncio.get_running_loop().time() + seconds

    def milliseconds(self) -> float:
        """What is left, for Playwright; TimeoutError when nothing is (0 would be no limit)."""
        left = self._end - asyncio.get_running_loop().time()
        if left <= 0:
            raise TimeoutError
        return left * 1000


class LoginPage:
    """One page of a browser, at ``url``. ``doing``: the step it is at, for messages. ``submitted``:
    set before the first click that may send the password.

    Every method but ``__init__`` raises LoginStopped, Playwright's Error, or TimeoutError.
    """

    def __init__(self, page: Page, settings: BrowserLogin, url: str) -> None:
        self._page = page
        self._settings = settings
        self._url = url
        self.doing = "starting"
        self.submitted = False

    async def open(self) -> None:
        """Go to the page and wait for its fields; at most ``page_timeout``."""
        deadline = Deadline(self._settings.page_timeout)
        self.doing = "opening the login page"
        response = await self._page.goto(
            self._url, wait_until="domcontentloaded", timeout=deadline.milliseconds()
        )
        if response is not None and response.status >= 400:
            # IBKR's servers are away (5xx): that passes. Anything else stays until it is mended.
            hangs = response.status >= 500
            raise LoginStopped(
                LoginOutcome.PAGE_HANGS if hangs else LoginOutcome.PAGE_CHANGED,
                f"HTTP {response.status} instead of the login page",
            )
        for name in _FIELDS:
            await self._wait_for(name, deadline)

    async def fill(self, credentials: LoginCredentials, *, checked: bool) -> bool:
        """Set the live/paper switch, type the credentials; at most ``step_timeout``.

        ``checked`` is the position of the switch; checked means paper. False: there is no switch.
        """
        deadline = Deadline(self._settings.step_timeout)
        has_switch = await self._set_switch(checked, deadline)
        self.doing = "typing the username"
        await self._visible("username").fill(credentials.username, timeout=deadline.milliseconds())
        self.doing = "typing the password"
        await self._visible("password").fill(
            credentials.password.get_secret_value(), timeout=deadline.milliseconds()
        )
        return has_switch

    async def submit(self) -> Answer:
        """Click, and wait for what comes; at most ``step_timeout``, twice that with a promo."""
        self.submitted = True
        answer = await self._click("submit", tuple(AnswerKind))
        if answer.kind is AnswerKind.PROMO:
            others = tuple(kind for kind in AnswerKind if kind is not AnswerKind.PROMO)
            answer = await self._click("promo_skip", others)
        return answer

    async def _wait_for(self, name: str, deadline: Deadline) -> None:
        self.doing = f"looking for {_SETTINGS}.{name}"
        try:
            await self._visible(name).wait_for(timeout=deadline.milliseconds())
            return
        except (PlaywrightTimeoutError, TimeoutError):
            pass
        if await self._page.evaluate("document.readyState") != "complete":
            raise LoginStopped(LoginOutcome.PAGE_HANGS, "the login page did not load to its end")
        raise LoginStopped(
            LoginOutcome.PAGE_CHANGED,
            f"the login page shows nothing that {_SETTINGS}.{name} finds "
            f"({self._css(name)}). Compare it with the picture, and set the locator.",
        )

    async def _set_switch(self, checked: bool, deadline: Deadline) -> bool:
        self.doing = "setting the live/paper switch"
        switch = self._visible("toggle")
        if not await switch.is_visible():
            return False
        state = self._page.locator(f"css={self._css('toggle_state')}").first
        if not await state.count():
            # Without it nobody knows whether this would be a live login.
            raise LoginStopped(
                LoginOutcome.PAGE_CHANGED,
                f"the login page has a live/paper switch, and {_SETTINGS}.toggle_state "
                f"({self._css('toggle_state')}) does not find its position",
            )
        if await state.is_checked(timeout=deadline.milliseconds()) is checked:
            return True
        await switch.click(timeout=deadline.milliseconds())
        try:
            await expect(state).to_be_checked(checked=checked, timeout=deadline.milliseconds())
            return True
        except AssertionError:
            pass
        raise LoginStopped(
            LoginOutcome.PAGE_CHANGED, "a click on the live/paper switch does not move it"
        )

    async def _click(self, name: str, awaited: tuple[AnswerKind, ...]) -> Answer:
        deadline = Deadline(self._settings.step_timeout)
        self.doing = f"clicking on {_SETTINGS}.{name}"
        await self._visible(name).click(timeout=deadline.milliseconds())
        self.doing = f"waiting for the answer to the click on {_SETTINGS}.{name}"
        shown = {kind: self._shown(kind) for kind in awaited}
        anything = reduce(Locator.or_, shown.values()).first
        while True:
            await anything.wait_for(timeout=deadline.milliseconds())
            for kind, locator in shown.items():
                # A page that goes on meanwhile shows none of them: then wait again.
                if texts := await locator.all_inner_texts():
                    return Answer(kind, " ".join(texts) if kind is AnswerKind.ERROR else "")

    def _shown(self, kind: AnswerKind) -> Locator:
        match kind:
            case AnswerKind.SUCCESS:
                text = self._settings.locators.success_text
                return self._page.get_by_text(text).filter(visible=True)
            case AnswerKind.ERROR:
                return self._all_visible("error").filter(has_text=_ANY_TEXT)
            case AnswerKind.SECOND_FACTOR:
                return self._all_visible("second_factor")
            case AnswerKind.PROMO:
                return self._all_visible("promo_skip")

    def _visible(self, name: str) -> Locator:
        return self._all_visible(name).first

    def _all_visible(self, name: str) -> Locator:
        return self._page.locator(f"css={self._css(name)}").filter(visible=True)

    def _css(self, name: str) -> str:
        css: str = getattr(self._settings.locators, name)
        return css
