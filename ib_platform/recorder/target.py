"""Which gateway a recording listens to, and how it is trusted."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths

_HERE = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway on this machine. ``pinned``: the certificate was given by hand, so that it is
    trusted whatever name it bears: IBKR's own names neither 127.0.0.1 nor localhost."""

    port: int
    certificate: Path
    pinned: bool

    @classmethod
    def of(
        cls, config: PlatformConfig, user: PaperUser, url: str | None, certificate: Path | None
    ) -> Target:
        """The paper user's own gateway, unless ``url`` or ``certificate`` name another.

        Raises:
            ConfigurationError: a URL that is not one of a gateway on this machine.
        """
        port = user.gateway_port if url is None else port_of(url)
        own = PodPaths(config.runtime.state_dir, user.name).certificate
        return cls(port, certificate or own, pinned=certificate is not None)

    def tls(self) -> ssl.SSLContext:
        """Raises GatewayError: no certificate there."""
        context = client_ssl_context(self.certificate)
        # Only who has this certificate's private key can answer: the name adds nothing.
        context.check_hostname = not self.pinned
        return context


def port_of(url: str) -> int:
    """Port of ``https://127.0.0.1:5000``. Raises ConfigurationError for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    extra = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username
    if parts.scheme != "https" or parts.hostname not in _HERE or port is None or extra:
        raise ConfigurationError(
            "--url: expected one like https://127.0.0.1:5000. A gateway serves the machine that it "
            "runs on: record there."
        )
    return port
