"""Real processes to supervise: see standin.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_platform_tests.fleet.pods import Pods, end_everything


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """A local runtime of two paper users whose containers are stand-ins; all ended afterwards."""
    created = Pods.create(tmp_path)
    yield created
    end_everything(created)
