"""The page of a finalized trade date: written beside the platform's other files, and shown."""

from __future__ import annotations

from base64 import b64encode
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from ib_platform.errors import SelectionError

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

FOLDER = "reports"
"""Below ``runtime.state_dir``."""
_PICTURES = 4
"""Contracts with a picture in the event log: each costs it some 50 kB."""


def page_metadata(client: Client, trade_date: date, state_dir: Path) -> dict[str, Any]:
    """Write the page of ``trade_date`` and say where it is, with pictures of its first contracts.

    A page that cannot be written is said instead: the rows that it shows are published already.
    """
    # Late: a refresh of the open date has no page and need not load matplotlib.
    from ib_platform.report.plots import day_picture
    from ib_platform.report.read import read_date
    from ib_platform.report.write import write_read_page

    day = read_date(client, trade_date)
    file = state_dir / FOLDER / f"quality_{trade_date}.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_read_page(day, file)
    except (SelectionError, OSError) as error:
        return {"page": dg.MetadataValue.text(f"not written: {error}")}
    pictures = [
        f"**{contract.name}**: {contract.report['verdict']}\n\n![{contract.name}]"
        f"(data:image/png;base64,{b64encode(day_picture(contract, day)).decode()})"
        for contract in day.contracts[:_PICTURES]
    ]
    return {
        "page": dg.MetadataValue.path(str(file)),
        "page_link": dg.MetadataValue.url(file.as_uri()),
        "through_the_day": dg.MetadataValue.md("\n\n".join(pictures)),
    }
