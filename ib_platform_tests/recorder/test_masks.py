"""Masks: one for each secret, always the same, shaped like what they stand for."""

from __future__ import annotations

import ipaddress
import re

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.recorder.masks import Masks
from ib_platform.recorder.secrets import PATTERNS, Secret, is_really, kind_of_key, random_piece

SECRETS = st.lists(st.text("abcXYZ0189.:-", min_size=1, max_size=8), max_size=300)


@given(st.sampled_from(Secret), SECRETS)
def test_the_same_for_the_same_and_another_for_another(kind: Secret, secrets: list[str]) -> None:
    masks = Masks()
    given_out = {secret: masks.of(kind, secret) for secret in secrets}
    assert {secret: masks.of(kind, secret) for secret in secrets} == given_out
    spellings = {re.sub("-", ":", secret.upper()) for secret in secrets}
    assert len(set(given_out.values())) >= len(spellings)
    assert all(mask in masks for mask in given_out.values())


def test_case_does_not_make_another_user() -> None:
    masks = Masks()
    assert masks.of(Secret.USERNAME, "Hans7") == masks.of(Secret.USERNAME, "hans7") == "papera01"
    assert masks.of(Secret.ACCOUNT, "du1") == masks.of(Secret.ACCOUNT, "DU1") == "DU1000001"
    assert masks.of(Secret.MAC, "aa-bb") == masks.of(Secret.MAC, "AA:BB")
    assert masks.of(Secret.TOKEN, "a") != masks.of(Secret.TOKEN, "A")


@given(st.integers(1, 2000))
def test_masks_look_like_what_they_stand_for(count: int) -> None:
    masks = Masks()
    for kind in PATTERNS:
        for number in range(count - 1, count):
            masks.of(kind, f"secret {number}")
    for kind, pattern in PATTERNS.items():
        if kind is not Secret.TOKEN:
            assert re.fullmatch(pattern, masks.of(kind, f"secret {count - 1}"))


def test_a_thousand_addresses() -> None:
    masks = Masks()
    found = {masks.of(Secret.ADDRESS, str(number)) for number in range(1000)}
    assert len(found) == 1000
    assert all(not ipaddress.ip_address(address).is_global for address in found)


def test_spelling_of_keys_does_not_matter() -> None:
    for key in ("USER_NAME", "userName", "user-name", "username"):
        assert kind_of_key(key) is Secret.USERNAME
    assert kind_of_key("price") is None


def test_what_looks_random() -> None:
    for text in ("9f8e7d6c5b4a39281706f5e4d3c2b1a0", "3f2b8c1e-9d4a-4e7b-8f6a-1c2d3e4f5a6b"):
        assert is_really(Secret.TOKEN, text)
    for text in ("snapshotRefreshTimeout", "/v1/api/iserver/marketdata/snapshot", "1" * 40):
        assert not is_really(Secret.TOKEN, text)
    assert random_piece("/logout/9f8e7d6c5b4a39281706f5e4") == 8


def test_times_and_versions_are_no_addresses() -> None:
    for text in ("10:00:00", "300.1.1.1", "::", "1:2:3:4:5:6"):
        assert not is_really(Secret.ADDRESS6 if ":" in text else Secret.ADDRESS, text)
