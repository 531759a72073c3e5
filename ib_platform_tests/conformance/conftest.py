"""Foreign clients take minutes and are not yet steady on a loaded machine: ``make test-long``."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE) and item.path.name != "test_foreign.py":
            item.add_marker(pytest.mark.long)
