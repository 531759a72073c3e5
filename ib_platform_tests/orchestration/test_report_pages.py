"""The page of a finalized date in the metadata of its materialization."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.orchestration.report_pages import page_metadata
from ib_platform.warehouse.connect import connect

DAY = date(2026, 11, 18)


@pytest.fixture
def client(warehouse: ClickHouse) -> Any:
    return connect(warehouse)


def test_a_page_that_cannot_be_written_is_said(client: Any, tmp_path: Path) -> None:
    """The rows that it would show are published: the run must not fail for it."""
    (tmp_path / "reports").write_text("no folder", encoding="utf-8")
    found = page_metadata(client, DAY, tmp_path)
    assert list(found) == ["page"]
    assert "not written" in found["page"].value
    assert "reports" in found["page"].value


def test_a_date_without_contracts_has_a_page_and_no_picture(client: Any, tmp_path: Path) -> None:
    found = page_metadata(client, DAY, tmp_path)
    assert Path(found["page"].value).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert found["through_the_day"].value == ""
