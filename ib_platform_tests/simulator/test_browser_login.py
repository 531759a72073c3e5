"""The login page in real Chromium, found by the locators of clients in the field.

One browser for all tests; each test has a simulator of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from ib_platform.simulator.app import upstream_listening
from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.faces import UpstreamFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.login_page import (
    FAILED,
    PAPER_USER_IN_LIVE_MODE,
    SUCCESS,
    WRONG_PASSWORD,
)
from ib_platform.simulator.second_factor import SecondFactor, totp
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import TIMEOUT, Client
from ib_platform_tests.simulator.login_client import (
    PASSWORD,
    SECRET,
    USERS,
    live,
    logged_out,
    login_gateway,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
USERNAME = {
    PageGeneration.FIRST: "[name=user_name]",
    PageGeneration.SECOND: "[name=username]",
    PageGeneration.THIRD: "#xyz-field-username",
}
ERROR = {
    PageGeneration.FIRST: ".alert.alert-danger.margin-top-10",
    PageGeneration.SECOND: ".xyz-errormessage",
    PageGeneration.THIRD: ".xyz-errormessage",
}
SUBMIT = ".btn.btn-lg.xyz-button-login"
QUICK_PUSH = LoginPageParameters(push_confirmed_after=0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(TIMEOUT * 1000)
    yield context
    await context.close()


@dataclass
class Visit:
    """A page on a generation, and how a client drives it."""

    page: Page
    generation: PageGeneration = PageGeneration.FIRST

    @classmethod
    async def to(
        cls,
        context: BrowserContext,
        base: str,
        generation: PageGeneration = PageGeneration.FIRST,
    ) -> Visit:
        page = await context.new_page()
        await page.goto(f"{base}/sso/Login?forwardTo=22&RL=1&ip2loc=on")
        await page.locator(".login").wait_for()
        return cls(page, generation)

    async def type(self, username: str, password: str = PASSWORD) -> None:
        await self.page.fill(USERNAME[self.generation], username)
        await self.page.fill("[name=password]", password)

    async def submit(self) -> None:
        third = self.generation is PageGeneration.THIRD
        await self.page.click("button[type=submit]" if third else SUBMIT)

    async def toggle(self) -> None:
        await self.page.click("label[for=toggle1]")

    async def log_in_live(self, username: str) -> None:
        await self.type(username)
        await self.submit()

    async def shows_error(self, text: str) -> None:
        await expect(self.page.locator(ERROR[self.generation])).to_have_text(text)

    async def succeeds(self) -> None:
        await expect(self.page.locator("pre")).to_have_text(SUCCESS)
        await expect(self.page.locator("body")).to_have_text(SUCCESS)

    async def keeps(self, username: str, password: str = PASSWORD) -> None:
        """What was typed is still in the fields."""
        await expect(self.page.locator(USERNAME[self.generation])).to_have_value(username)
        await expect(self.page.locator("[name=password]")).to_have_value(password)


def base_of(client: Client) -> str:
    return f"https://127.0.0.1:{client.port}"


@pytest.mark.parametrize("generation", PageGeneration)
async def test_wrong_password_wrong_mode_success(
    context: BrowserContext, tmp_path: Path, generation: PageGeneration
) -> None:
    """As a client does it: after each error it only changes what was wrong and submits again."""
    page = LoginPageParameters(generation=generation)
    async with login_gateway(tmp_path, behaviour=logged_out(page)) as (client, _):
        visit = await Visit.to(context, base_of(client), generation)
        sent: list[tuple[str, str, str]] = []
        visit.page.on("request", lambda r: sent.append((r.method, r.url, r.post_data or "")))
        await visit.type("papera01", "wrong")
        await visit.submit()
        await visit.shows_error(WRONG_PASSWORD)
        await visit.keeps("papera01", "wrong")
        await visit.page.fill("[name=password]", PASSWORD)
        await visit.submit()
        await visit.shows_error(PAPER_USER_IN_LIVE_MODE)
        await visit.keeps("papera01")
        await visit.toggle()
        await expect(visit.page.locator(ERROR[generation])).to_be_hidden()
        await visit.keeps("papera01")
        sent.clear()
        await visit.submit()
        await visit.succeeds()
        paths = [(method, url.removeprefix(base_of(client))) for method, url, _ in sent]
        assert paths[:4] == [
            ("POST", "/sso/Authenticator"),
            ("POST", "/sso/Authenticator"),
            ("POST", "/sso/Dispatcher"),
            ("GET", "/sso/Dispatcher"),
        ]
        assert not any("word" in body for _, _, body in sent), "the password stays in the page"
        assert (await client.call("GET", "/tickle"))[0] == 200


async def test_a_code(context: BrowserContext, tmp_path: Path) -> None:
    page = LoginPageParameters(code_field="xyz-field-silver-response", ibkey_promo=True)
    async with login_gateway(tmp_path, behaviour=logged_out(page)) as (client, face):
        visit = await Visit.to(context, base_of(client))
        await visit.log_in_live("live-totp")
        code = visit.page.locator("#xyz-field-silver-response")
        await visit.page.locator("#twofactbase").wait_for()
        await code.fill("no code")
        await code.press("Enter")
        await visit.shows_error(FAILED)
        await visit.keeps("live-totp")
        await visit.submit()
        await code.fill(totp(SECRET, face.world.clock.wall()))
        await code.press("Enter")
        await visit.page.locator(".ibkey-promo-skip").click()
        await visit.succeeds()


async def test_a_notification(context: BrowserContext, tmp_path: Path) -> None:
    page = LoginPageParameters(push_confirmed_after=None, push_lifetime=0.2)
    async with login_gateway(tmp_path, behaviour=logged_out(page)) as (client, face):
        visit = await Visit.to(context, base_of(client))
        await visit.log_in_live("live-push")
        await visit.shows_error(FAILED)
        world = face.world
        world.behaviour = replace(world.behaviour, login_page=replace(page, push_lifetime=60.0))
        await visit.submit()
        await visit.page.locator(".login-step-notification").wait_for()
        async with visit.page.expect_response("**/sso/Authenticator") as answered:
            await visit.page.click("a[onclick*='resendNotification()']")
        assert await (await answered.value).json() == {"step": "waiting"}
        world.behaviour = replace(world.behaviour, login_page=QUICK_PUSH)
        await visit.page.reload()
        await visit.log_in_live("live-push")
        await visit.succeeds()


async def test_a_choice_of_devices(context: BrowserContext, tmp_path: Path) -> None:
    async with login_gateway(tmp_path, behaviour=logged_out(QUICK_PUSH)) as (client, _):
        visit = await Visit.to(context, base_of(client))
        await visit.log_in_live("live-select")
        select = visit.page.locator("select#xyz-field-bronze-response")
        await select.wait_for()
        await expect(visit.page.locator("#twofactbase")).to_have_count(0)
        await select.select_option(label="IB Key")
        await visit.succeeds()


async def test_lockout(context: BrowserContext, tmp_path: Path) -> None:
    behaviour = logged_out(lock_after=2)
    async with login_gateway(tmp_path, behaviour=behaviour) as (client, _):
        visit = await Visit.to(context, base_of(client))
        await visit.type("papera01", "wrong")
        await visit.submit()
        await visit.shows_error(WRONG_PASSWORD)
        await visit.submit()
        await visit.shows_error(behaviour.login_page.locked_text)
        await visit.toggle()
        await visit.type("papera01")
        await visit.submit()
        await visit.shows_error(behaviour.login_page.locked_text)


async def test_success_that_never_authenticates(context: BrowserContext, tmp_path: Path) -> None:
    """The TOTP trap, as its victims saw it."""
    trapped = live(SecondFactor.TOTP, authenticates=False)
    async with login_gateway(tmp_path, users=[trapped]) as (client, face):
        visit = await Visit.to(context, base_of(client))
        await visit.log_in_live(trapped.username)
        code = visit.page.locator("#xyz-field-bronze-response")
        await code.fill(totp(SECRET, face.world.clock.wall()))
        await code.press("Enter")
        await visit.succeeds()
        assert (await client.call("GET", "/tickle"))[0] == 200
        assert (await client.json("GET", "/iserver/auth/status"))["authenticated"] is False


async def test_faults_change_the_page(context: BrowserContext, tmp_path: Path) -> None:
    async with login_gateway(tmp_path) as (client, face):
        faults, now = face.world.faults, face.world.clock.now()
        faults.begin(FaultKind.LOGIN_FAILS, now, parameters={"text": "<b>Come back later</b>"})
        faults.begin(FaultKind.LOGIN_PAGE, now, parameters={"generation": "third"})
        visit = await Visit.to(context, base_of(client), PageGeneration.THIRD)
        await visit.log_in_live("papera01")
        await visit.shows_error("<b>Come back later</b>")


async def test_a_gateway_that_breaks_off(context: BrowserContext, tmp_path: Path) -> None:
    async with login_gateway(tmp_path) as (client, face):
        visit = await Visit.to(context, base_of(client))
        face.world.faults.begin(
            FaultKind.HTTP_ERROR, face.world.clock.now(), parameters={"status": 503}
        )
        await visit.log_in_live("papera01")
        await visit.shows_error(FAILED)
        face.world.faults.clear()
        await visit.toggle()
        await visit.submit()
        await visit.succeeds()


async def test_without_a_toggle_behind_a_gateway(context: BrowserContext) -> None:
    """Face B, plain HTTP: the browser gets the cookies; the paper username alone is enough."""
    world = World(USERS, seed=7, behaviour=logged_out(LoginPageParameters(toggle=False)))
    async with upstream_listening(UpstreamFace(world), port=0) as listener:
        visit = await Visit.to(context, f"http://127.0.0.1:{listener.port}")
        await expect(visit.page.locator("label[for=toggle1]")).to_have_count(0)
        await visit.log_in_live("papera01")
        await visit.succeeds()
        names = {cookie["name"] for cookie in await context.cookies()}
        assert names == {"USERID", "REGION", "x-sess-uuid"}


async def test_the_page_computes_as_we_do(context: BrowserContext, tmp_path: Path) -> None:
    """SHA-256 over lengths around its block size."""
    async with login_gateway(tmp_path) as (client, _):
        visit = await Visit.to(context, base_of(client))
        texts = [bytes(range(length)) for length in (0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 200)]
        script = "texts => texts.map(text => Srp.sha256(text))"
        digests: Any = await visit.page.evaluate(script, [text.hex() for text in texts])
        assert digests == [hashlib.sha256(text).hexdigest() for text in texts]
