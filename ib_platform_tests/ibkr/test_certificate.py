"""The pinned certificate: made once, private, renewed when useless, trusted alone."""

from __future__ import annotations

import asyncio
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from ib_platform.errors import ConfigurationError, GatewayError
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context, server_ssl_context


def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "pods" / "alpha" / "gateway.pem", folder / "pods" / "alpha" / "gateway.key"


def made(folder: Path) -> tuple[Path, Path]:
    certificate, key = pair(folder)
    ensure_certificate(certificate, key)
    return certificate, key


async def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Whether ``client`` trusts ``server`` under ``name``."""

    async def bye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listener = await asyncio.start_server(bye, "127.0.0.1", 0, ssl=server)
    port = listener.sockets[0].getsockname()[1]
    try:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=name
        )
    except ssl.SSLCertVerificationError:
        return False
    else:
        writer.close()
        return True
    finally:
        listener.close()
        await listener.wait_closed()


def test_names_validity_and_key_type(tmp_path: Path) -> None:
    certificate, _ = made(tmp_path)
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    remaining = found.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=3640) < remaining < timedelta(days=3660)
    assert found.not_valid_before_utc < datetime.now(UTC)


def test_the_key_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o644
    leftovers = {path.name for path in certificate.parent.iterdir()} - {"gateway.pem.lock"}
    assert leftovers == {"gateway.pem", "gateway.key"}


def test_a_usable_pair_is_kept(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    before = certificate.read_bytes(), key.read_bytes()
    ensure_certificate(certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == before


@pytest.mark.parametrize("damage", ["no_key", "no_certificate", "not_pem", "foreign_key"])
def test_a_useless_pair_is_made_anew(tmp_path: Path, damage: str) -> None:
    certificate, key = made(tmp_path)
    before = certificate.read_bytes()
    if damage == "no_key":
        key.unlink()
    elif damage == "no_certificate":
        certificate.unlink()
    elif damage == "not_pem":
        certificate.write_text("torn")
    else:
        key.write_bytes(made(tmp_path / "other")[1].read_bytes())
    ensure_certificate(certificate, key)
    assert certificate.read_bytes() != before
    server_ssl_context(certificate, key)


@pytest.mark.parametrize("there", ["certificate", "key", "both"])
def test_files_of_somebody_else_are_never_overwritten(tmp_path: Path, there: str) -> None:
    certificate, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    for name, file in (("certificate", certificate), ("key", key)):
        if there in (name, "both"):
            file.write_text(f"my {name}")
    with pytest.raises(ConfigurationError, match=r"mine\.(pem|key).*no usable pair"):
        ensure_certificate(certificate, key, replace=False)
    assert [file.read_text() for file in (certificate, key) if file.exists()] == [
        f"my {name}" for name in ("certificate", "key") if there in (name, "both")
    ]


def test_where_nothing_is_a_pair_is_made(tmp_path: Path) -> None:
    certificate, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    ensure_certificate(certificate, key, replace=False)
    made = certificate.read_bytes()
    ensure_certificate(certificate, key, replace=False)
    assert certificate.read_bytes() == made


def test_an_expired_certificate_is_renewed(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    before = certificate.read_bytes()
    in_nine_years = datetime.now(UTC) + timedelta(days=9 * 365)
    ensure_certificate(certificate, key, now=in_nine_years)
    assert certificate.read_bytes() == before
    ensure_certificate(certificate, key, now=in_nine_years + timedelta(days=2 * 365))
    assert certificate.read_bytes() != before


def test_many_callers_end_with_one_matching_pair(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ensure_certificate, certificate, key) for _ in range(16)]
        for call in calls:
            call.result()
    server_ssl_context(certificate, key)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_the_pinned_certificate_is_trusted(tmp_path: Path, name: str) -> None:
    certificate, key = made(tmp_path)
    server, client = server_ssl_context(certificate, key), client_ssl_context(certificate)
    assert await handshake(server, client, name)


async def test_other_certificates_and_names_are_refused(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    other, _ = made(tmp_path / "other")
    server = server_ssl_context(certificate, key)
    assert not await handshake(server, client_ssl_context(other), "127.0.0.1")
    assert not await handshake(server, client_ssl_context(certificate), "api.example")
    system = ssl.create_default_context()
    assert not await handshake(server, system, "127.0.0.1")


def test_verification_is_never_off(tmp_path: Path) -> None:
    context = client_ssl_context(made(tmp_path)[0])
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_missing_certificate_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"absent\.pem.*start the gateway"):
        client_ssl_context(tmp_path / "absent.pem")


def test_a_file_without_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing here")
    with pytest.raises(GatewayError, match=r"empty\.pem"):
        client_ssl_context(empty)


def test_a_server_needs_a_matching_pair(tmp_path: Path) -> None:
    certificate, _ = made(tmp_path)
    _, foreign = made(tmp_path / "other")
    with pytest.raises(ConfigurationError, match="Delete both files"):
        server_ssl_context(certificate, foreign)


def test_an_impossible_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        ensure_certificate(tmp_path / "file" / "gateway.pem", tmp_path / "file" / "gateway.key")
