"""What is to be recorded, and how a paper login is proven before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_platform.errors import ConfigurationError, GatewayError, LiveAccountError
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.recorder.client import RecordingClient
from ib_platform.recorder.masking import Masker
from ib_platform.recorder.questions import prove_paper, wanted_keys
from ib_platform.recorder.recording import Recording
from ib_platform_tests.ibkr.tiny_gateway import AUTHENTICATED, logged_in, tiny_gateway
from ib_platform_tests.recorder.gateways import ACCOUNT, USERNAME, secret_config
from ib_platform_tests.support import make_config


def test_keys_of_a_paper_user(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    assert wanted_keys(config, "alpha", ()) == ("CL.NYMEX.front",)
    assert wanted_keys(config, "beta", ()) == ("ES.CME.front",)


def test_keys_of_symbols(tmp_path: Path) -> None:
    contracts: list[dict[str, Any]] = [
        {"symbol": "CL", "exchange": "NYMEX", "months": ["front", "next"]},
        {"symbol": "ES", "exchange": "CME", "paper_user": "beta"},
    ]
    config = make_config(tmp_path, contracts=contracts)
    assert wanted_keys(config, "alpha", ()) == ("CL.NYMEX.front", "CL.NYMEX.next")
    both = wanted_keys(config, "alpha", ("ES", "GC", "CL", "GC"))
    assert both == ("ES.CME.front", "GC.ANY.front", "CL.NYMEX.front", "CL.NYMEX.next")


def test_a_paper_user_without_contracts(tmp_path: Path) -> None:
    contracts = [{"symbol": "ES", "exchange": "CME", "paper_user": "beta"}]
    config = make_config(tmp_path, contracts=contracts)
    with pytest.raises(ConfigurationError, match="no contract .* for paper user alpha"):
        wanted_keys(config, "alpha", ())


NOT_YET = {"authenticated": False, "connected": True, "competing": False}
COMPETING = {"authenticated": False, "connected": True, "competing": True}


async def proven(folder: Path, **answers: Any) -> tuple[str, list[str]]:
    """The session id, and what was asked, in order."""
    user = secret_config(folder).paper_user("alpha")
    masker = Masker(ACCOUNT, USERNAME)
    async with tiny_gateway(folder) as gateway:
        gateway.answers = logged_in(2, True, ACCOUNT) | {
            "/" + path.replace("__", "/"): answer for path, answer in answers.items()
        }
        tls = client_ssl_context(gateway.certificate)
        recording = Recording(masker)
        async with RecordingClient(gateway.port, tls, recording, share=1000) as client:
            session = await prove_paper(client, user, masker, 0.01)
        assert "cafe" not in masker.text("the session (cafe)"), "it is masked from now on"
        return session, [path for _, path, _ in gateway.requests]


async def test_a_session_that_is_there(tmp_path: Path) -> None:
    session, asked = await proven(tmp_path)
    assert session == "cafe"
    assert asked == ["/tickle", "/sso/validate", "/iserver/auth/status", "/iserver/accounts"]


async def test_a_session_that_has_to_be_started(tmp_path: Path) -> None:
    states = [(200, NOT_YET), (200, NOT_YET), (200, AUTHENTICATED)]
    _, asked = await proven(
        tmp_path,
        iserver__auth__status=states,
        iserver__auth__ssodh__init=(200, {"wait": True}),
    )
    assert asked.count("/iserver/auth/ssodh/init") == 1
    assert asked.index("/sso/validate") < asked.index("/iserver/auth/ssodh/init")
    assert asked[-2:] == ["/iserver/auth/status", "/iserver/accounts"]


async def test_a_live_login_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(LiveAccountError):
        await proven(tmp_path, sso__validate=(200, {"LOGIN_TYPE": 1, "RESULT": True}))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"tickle": (401, "")}, "HTTP 401"),
        ({"tickle": (200, {})}, "tickle names no session"),
        ({"iserver__auth__status": (200, COMPETING)}, "another login of this user"),
    ],
)
async def test_what_ends_it(tmp_path: Path, answers: dict[str, Any], said: str) -> None:
    with pytest.raises(GatewayError, match=said):
        await proven(tmp_path, **answers)
