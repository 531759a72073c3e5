"""The login page as text: a pure function of how it is to look (Web API page, section 1.3).

Three generations of element names, as clients in the field look for them; everything else is ours.
The page shows no success by itself: whoever is let in leaves it through ``/sso/Dispatcher``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from ib_platform.simulator import shapes
from ib_platform.simulator.behaviour import LoginPageParameters, PageGeneration
from ib_platform.simulator.srp import LOGIN_GROUP

SUCCESS = "Client login succeeds"
"""All that the last page says, as plain text: a browser shows that in ``<pre>``."""
WRONG_PASSWORD = "Invalid username password combination"
FAILED = "failed"
PAPER_USER_IN_LIVE_MODE = (
    "You have selected the Live Account Mode, but the specified user is a Paper Trading user. "
    "Please select the correct Login mode."
)
LIVE_USER_IN_PAPER_MODE = (
    "You have selected the Paper Trading Account Mode, but the specified user is a Live Account "
    "user. Please select the correct Login mode."
)
"""Our wording, after the one above: no source shows this case."""
_POLL_MILLISECONDS = 500
_TOGGLE = (
    '<div class="mode"><span>Account mode</span><span>'
    '<input type="checkbox" id="toggle1"{checked}><label for="toggle1"></label></span></div>'
)


@dataclass(frozen=True)
class _Names:
    """What a generation calls its elements."""

    username_field: str
    username_id: str
    password_id: str
    error_class: str


_NAMES = {
    PageGeneration.FIRST: _Names(
        "user_name", "user_name", "password", "alert alert-danger margin-top-10"
    ),
    PageGeneration.SECOND: _Names("username", "username", "password", "xyz-errormessage"),
    PageGeneration.THIRD: _Names(
        "username", "xyz-field-username", "xyz-field-password", "xyz-errormessage"
    ),
}


def login_html(parameters: LoginPageParameters) -> str:
    """The page; its script talks to ``/sso/Authenticator`` (see ``sign_in``)."""
    names = _NAMES[parameters.generation]
    settings = {
        "usernameField": names.username_field,
        "failedText": FAILED,
        "pollMilliseconds": _POLL_MILLISECONDS,
    }
    toggle = _TOGGLE.format(checked=" checked" if parameters.default_paper else "")
    return _file("login.html").substitute(
        style=_file("login.css").template,
        script=_script(),
        settings=shapes.encode(settings).decode(),
        toggle=toggle if parameters.toggle else "",
        code_field=parameters.code_field,
        device_field=parameters.device_field,
        username_field=names.username_field,
        username_id=names.username_id,
        password_id=names.password_id,
        error_class=names.error_class,
    )


@cache
def _script() -> str:
    group = LOGIN_GROUP
    arithmetic = _file("srp.js").substitute(
        prime=f"{group.prime:x}", generator=f"{group.generator}n", width=group.width
    )
    return arithmetic + _file("login.js").template


@cache
def _file(name: str) -> Template:
    return Template(resources.files("ib_platform.simulator").joinpath("pages", name).read_text())
