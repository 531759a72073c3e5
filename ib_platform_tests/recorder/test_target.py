"""Which gateway is recorded, and whom it is confused with: nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.errors import ConfigurationError, GatewayError
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.recorder.target import Target, port_of
from ib_platform_tests.support import make_config


def test_the_paper_users_own_gateway(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    user = config.paper_user("alpha")
    target = Target.of(config, user, None, None)
    assert target.port == user.gateway_port
    assert target.certificate == tmp_path / "pods" / "alpha" / "gateway.pem"
    with pytest.raises(GatewayError, match=r"gateway\.pem"):
        target.tls()
    ensure_certificate(target.certificate, tmp_path / "pods" / "alpha" / "gateway.key")
    assert target.tls().check_hostname


def test_another_gateway_with_its_certificate(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    given = tmp_path / "given.pem"
    ensure_certificate(given, tmp_path / "given.key")
    target = Target.of(config, config.paper_user("alpha"), "https://localhost:5001/", given)
    assert (target.port, target.certificate) == (5001, given)
    context = target.tls()
    assert not context.check_hostname, "the certificate itself is the name"
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5000",
        "https://127.0.0.1",
        "https://192.0.2.1:5000",
        "https://example.com:5000",
        "https://127.0.0.1:5000/v1/api",
        "https://user@127.0.0.1:5000",
        "https://127.0.0.1:70000",
        "https://127.0.0.1:x",
        "https://[::1",
        "5000",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url: expected one like"):
        port_of(url)
