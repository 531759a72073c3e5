"""The environments of the foreign clients: complete pins, unmodified packages, clear reasons."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ib_platform_tests.conformance import foreign
from ib_platform_tests.conformance.foreign import PIN, NotHereError, pins_of, program, python_of

CLIENTS = {"ibind": "0.2.2", "ibeam": "0.5.12"}

_CHECK = """
import base64, hashlib, json, sys
from importlib.metadata import distribution
changed, checked, found = [], 0, distribution(sys.argv[1])
for file in found.files:
    if file.hash is not None:
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        checked += 1
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
print(json.dumps({"version": found.version, "checked": checked, "changed": changed}))
"""


@pytest.mark.parametrize(("client", "version"), CLIENTS.items())
def test_every_package_is_pinned_by_name_and_version(client: str, version: str) -> None:
    pins = pins_of(client).read_text().splitlines()
    assert f"{client}=={version}" in pins
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []


@pytest.mark.parametrize(("client", "version"), CLIENTS.items())
def test_the_client_is_the_unmodified_package(client: str, version: str) -> None:
    """Every file that the package installed still has the hash in its own record."""
    argv = [str(python_of(client)), "-c", _CHECK, client]
    said = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert said["version"] == version
    assert said["checked"] > 20
    assert said["changed"] == []


def test_what_is_missing_skips_a_newcomer_and_fails_the_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nothing-like-it"):
        program("no-such-program", "nothing-like-it")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(NotHereError, match="no-such-program is missing"):
        program("no-such-program", "nothing-like-it")


def test_pins_that_cannot_be_installed_name_the_client_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nobody.txt").write_text("no-such-package==\n")
    monkeypatch.setattr(foreign, "HERE", tmp_path)
    monkeypatch.setattr(foreign, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(
        NotHereError, match=r"the environment of nobody cannot be made: .*no-such-package"
    ):
        python_of("nobody")
