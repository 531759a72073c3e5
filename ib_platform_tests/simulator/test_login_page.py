"""The page's elements, by the locators that clients in the field use, in all generations."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.login_page import FAILED, SUCCESS, login_html

Element = tuple[str, dict[str, str]]
VOID = {"input", "link", "meta"}


class Page(HTMLParser):
    """Elements outside of templates, the ids inside of each template, and what can be read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.templates: dict[str, list[Element]] = {}
        self.text = ""
        self.open: list[str] = []
        self._template: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs})
        if tag == "template":
            self._template = element[1]["id"]
            self.templates[self._template] = []
        elif self._template is not None:
            self.templates[self._template].append(element)
        else:
            self.elements.append(element)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"
        if tag == "template":
            self._template = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def named(self, attribute: str, value: str) -> list[Element]:
        return [each for each in self.elements if each[1].get(attribute) == value]

    def with_classes(self, *classes: str) -> list[Element]:
        return [each for each in self.elements if {*classes} <= {*each[1].get("class", "").split()}]


def page_of(**parameters: object) -> Page:
    page = Page(login_html(replace(LoginPageParameters(), **parameters)))
    assert page.open == []
    return page


@pytest.mark.parametrize("generation", PageGeneration)
def test_what_all_generations_have(generation: PageGeneration) -> None:
    page = page_of(generation=generation)
    assert len(page.named("name", "password")) == 1
    [(tag, button)] = page.with_classes("btn", "btn-lg", "xyz-button-login")
    assert (tag, button["type"]) == ("button", "submit")
    assert len(page.named("for", "toggle1")) == 1
    assert page.with_classes("login"), "the marker of a loaded page"
    assert "Simulator" in page.text
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_first_generation() -> None:
    page = page_of(generation=PageGeneration.FIRST)
    assert page.named("name", "user_name")
    assert not page.named("name", "username"), "by this a client tells the generations apart"
    [(_, error)] = page.with_classes("alert", "alert-danger", "margin-top-10")
    assert error["class"] == "alert alert-danger margin-top-10", "compared as text by a client"
    assert "hidden" in error
    assert not page.with_classes("xyz-errormessage")


def test_second_generation() -> None:
    page = page_of(generation=PageGeneration.SECOND)
    assert page.named("name", "username")
    assert not page.named("name", "user_name")
    assert not page.named("id", "xyz-field-username")
    [(_, error)] = page.with_classes("xyz-errormessage")
    assert "hidden" in error
    assert not page.with_classes("alert")


def test_third_generation() -> None:
    page = page_of(generation=PageGeneration.THIRD)
    assert page.named("id", "xyz-field-username")
    assert page.named("id", "xyz-field-password")
    assert len(page.named("type", "submit")) == 1
    assert page.with_classes("xyz-errormessage")


@pytest.mark.parametrize("generation", PageGeneration)
def test_a_fresh_page_shows_no_outcome(generation: PageGeneration) -> None:
    """Clients look for these texts in the whole body."""
    html = login_html(LoginPageParameters(generation=generation))
    assert SUCCESS not in html
    assert FAILED not in Page(html).text


def test_steps_wait_in_templates() -> None:
    """The input for a code and the dropdown bear one id: only one of them may be in the page."""
    page = page_of()
    for name in ("twofactbase", "xyz-field-bronze-response"):
        assert not page.named("id", name)
    for template, tag in (("step-code", "input"), ("step-devices", "select")):
        wanted = LoginPageParameters.code_field
        found = [t for t, a in page.templates[template] if a.get("id") == wanted]
        assert found == [tag]
    assert any(a.get("id") == "twofactbase" for _, a in page.templates["step-code"])
    assert not any(a.get("id") == "twofactbase" for _, a in page.templates["step-devices"])
    classes = [a.get("class", "") for _, a in page.templates["step-notification"]]
    assert "login-step-notification" in classes
    resend = [a.get("onclick", "") for t, a in page.templates["step-notification"] if t == "a"]
    assert "resendNotification()" in resend[0]
    assert any("ibkey-promo-skip" in a.get("class", "") for _, a in page.templates["step-promo"])


def test_ids_that_ibkr_has_renamed() -> None:
    page = page_of(code_field="xyz-field-silver-response", device_field="devices")
    ids = {n: [a.get("id") for _, a in page.templates[n]] for n in ("step-code", "step-devices")}
    assert "xyz-field-silver-response" in ids["step-code"]
    assert "devices" in ids["step-devices"]


def test_the_toggle() -> None:
    [(_, live)] = page_of().named("id", "toggle1")
    [(_, paper)] = page_of(default_paper=True).named("id", "toggle1")
    assert "checked" not in live
    assert "checked" in paper
    assert not page_of(toggle=False).named("id", "toggle1")


def test_no_form_could_send_a_password() -> None:
    """Without its script the page must not send what was typed, not even in an address:
    ``method="dialog"`` outside of a dialog does nothing."""
    page = page_of()
    every = page.elements + [each for step in page.templates.values() for each in step]
    forms = {attributes.get("id"): attributes for tag, attributes in every if tag == "form"}
    sending = forms.pop("dispatcher")
    assert (sending["method"], sending["action"]) == ("post", "/sso/Dispatcher")
    assert {form["method"] for form in forms.values()} == {"dialog"}


def test_settings_of_the_script() -> None:
    html = login_html(LoginPageParameters(generation=PageGeneration.SECOND))
    text = html.split('id="settings">')[1].split("</script>")[0]
    assert json.loads(text)["usernameField"] == "username"
    assert "$" not in html.split("<script>")[0], "every placeholder of the page is filled in"
