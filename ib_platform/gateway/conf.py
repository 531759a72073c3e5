"""What IBKR's gateway program is given: a folder of its own with conf.yaml and our certificate.

The program looks for everything relative to the folder that it runs in (its ``run.sh``), so each
pod gets one: links to the unpacked program, and a ``root`` that is ours. Fields of conf.yaml:
``ibkr_web_api.md`` section 1.2.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from ib_platform.config_gateway import JavaGateway
from ib_platform.errors import ConfigurationError

CONF, KEYSTORE = "conf.yaml", "gateway.jks"
_LINKED = ("dist", "build")
_KDF_ROUNDS = 20_000


def conf_yaml(java: JavaGateway, port: int, keystore_password: str) -> str:
    """Text of conf.yaml. Only this machine may call: the program listens on all interfaces, so
    ``ips.allow`` is what keeps others out."""
    return yaml.safe_dump(
        {
            "ip2loc": java.region,
            "proxyRemoteSsl": java.upstream.startswith("https:"),
            "proxyRemoteHost": java.upstream,
            "listenPort": port,
            "listenSsl": True,
            "ccp": False,
            "svcEnvironment": "v1",
            "sslCert": KEYSTORE,
            "sslPwd": keystore_password,
            "authDelay": 3000,
            "portalBaseURL": "",
            "serverOptions": {
                "blockedThreadCheckInterval": 1_000_000,
                "eventLoopPoolSize": 20,
                "workerPoolSize": 20,
                "maxWorkerExecuteTime": 100,
                "internalBlockingPoolSize": 20,
            },
            # No web page of another origin has any business here; the program wants a pattern.
            "cors": {"origin.allowed": "https://127.0.0.1", "allowCredentials": False},
            "webApps": [{"name": "demo", "index": "index.html"}],
            "ips": {"allow": ["127.0.0.1"], "deny": []},
        },
        sort_keys=False,
    )


def keystore(certificate: Path, private_key: Path, password: str) -> bytes:
    """The pair as a Java keystore: PKCS #12 in the old encryption, which Java 8 reads too.

    Java loads such a file also as the type JKS, which the program asks for.
    """
    key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{private_key}: not a key of ours (elliptic curve)")
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_KDF_ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(password.encode())
    )
    return pkcs12.serialize_key_and_certificates(b"gateway", key, found, None, encryption)


def write_instance(
    folder: Path, java: JavaGateway, port: int, certificate: Path, private_key: Path
) -> None:
    """Lay out ``folder`` for one gateway program; what an earlier start left is replaced.

    The keystore's password is new each time and stands in conf.yaml only (mode 0600).

    Raises:
        ConfigurationError: the program is not where the configuration says, or the folder cannot
            be written.
    """
    require_program(java)
    password = secrets.token_urlsafe(24)
    root = folder / "root"
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name in _LINKED:
            _link(folder / name, java.folder / name)
        for name in ("webapps", "logback.xml"):
            if (java.folder / "root" / name).exists():
                _link(root / name, java.folder / "root" / name)
        _write(root / KEYSTORE, keystore(certificate, private_key, password))
        _write(root / CONF, conf_yaml(java, port, password).encode())
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or folder}: the gateway's folder cannot be written "
            f"({error.strerror}). Make runtime.state_dir writable or name another."
        ) from error


def require_program(java: JavaGateway) -> None:
    """Raise ConfigurationError unless the folder holds an unpacked gateway program."""
    missing = [name for name in ("dist", "build/lib/runtime") if not (java.folder / name).is_dir()]
    if missing:
        raise ConfigurationError(
            f"gateway.java.folder {java.folder}: no {' and no '.join(missing)} in it. Download "
            "IBKR's clientportal.gw.zip, unpack it, and name the folder that holds dist/, build/ "
            "and root/."
        )


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())


def _write(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
