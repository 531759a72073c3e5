"""TLS contexts that trust the gateway's certificate and nothing else.

IBKR's gateway answers TLS on 127.0.0.1 with a certificate that no authority signed. Trust is pinned
to that one certificate; verification and the host name check stay on. Apart from
``ib_platform.ibkr.certificate``, so that a streamer need not load the library that makes one.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from ib_platform.errors import ConfigurationError, GatewayError


def client_ssl_context(certificate: Path) -> ssl.SSLContext:
    """A client context that trusts this one certificate; host names are checked.

    Raises:
        GatewayError: the file is missing or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=certificate)
    except (OSError, ssl.SSLError) as error:
        raise GatewayError(
            f"{certificate}: no usable gateway certificate ({error.strerror or error}). The "
            f"gateway writes it when it starts: start the gateway of this paper user first."
        ) from error
    return context


def server_ssl_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A server context that presents the certificate.

    Raises:
        ConfigurationError: a file is missing or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{certificate} and {private_key}: not a usable certificate with its private key "
            f"({error.strerror or error}). Delete both files; they are made anew at the next start."
        ) from error
    return context
