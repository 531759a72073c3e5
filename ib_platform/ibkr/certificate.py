"""Making the gateway's self-signed certificate. ``ib_platform.ibkr.tls`` pins trust to it."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock

from ib_platform.errors import ConfigurationError

_VALID_FOR = timedelta(days=3652)
# Clocks of containers may differ by seconds: a certificate must be valid at once everywhere.
_BACKDATED = timedelta(hours=1)


def ensure_certificate(
    certificate: Path, private_key: Path, *, now: datetime | None = None, replace: bool = True
) -> None:
    """Make a certificate for 127.0.0.1 and localhost, unless a usable one is there.

    Usable: both files can be read, they belong together, and the certificate is valid at ``now``
    (an aware instant; the present by default). The key file has mode 0600. Safe to call from
    several processes. ``replace`` false: files that somebody else made are never overwritten.

    Raises:
        ConfigurationError: the folder cannot be written; with ``replace`` false also: there are
            files, and they cannot be used.
    """
    instant = now or datetime.now(UTC)
    try:
        certificate.parent.mkdir(parents=True, exist_ok=True)
        private_key.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(certificate.with_name(certificate.name + ".lock")):
            if not _is_usable(certificate, private_key, instant):
                if not replace:
                    _require_none(certificate, private_key)
                _write_pair(certificate, private_key, instant)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or certificate}: the gateway's certificate cannot be written "
            f"({error.strerror}). Make the folder writable or name other files."
        ) from error


def _require_none(*files: Path) -> None:
    there = [str(file) for file in files if file.exists()]
    if there:
        raise ConfigurationError(
            f"{' and '.join(there)}: no usable pair of a certificate and its unencrypted private "
            "key (PEM, valid today). Name other files, or files that do not exist yet: a new pair "
            "is made there. Nothing was overwritten."
        )


def _is_usable(certificate: Path, private_key: Path, now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return False
    if key.public_key() != found.public_key():
        return False
    return found.not_valid_before_utc <= now < found.not_valid_after_utc


def _write_pair(certificate: Path, private_key: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # The key first: a crash in between leaves a pair that does not match, which is made anew.
    _write_atomically(
        private_key,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        mode=0o600,
    )
    pem = _self_signed(key, now).public_bytes(serialization.Encoding.PEM)
    _write_atomically(certificate, pem, mode=0o644)


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ib_platform gateway")])
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(names, critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _write_atomically(path: Path, content: bytes, *, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
