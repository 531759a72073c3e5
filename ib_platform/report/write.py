"""Writes the page of a trade date to a file, whole or not at all."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ib_platform.errors import SelectionError
from ib_platform.report.day import DatePage
from ib_platform.report.page import render
from ib_platform.report.read import read_date

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def write_page(client: Client, trade_date: date, file: Path) -> int:
    """Write the page of ``trade_date`` to ``file``; an older one is replaced. Returns its bytes.

    Raises:
        SelectionError: the folder is missing, or cannot be written to.
    """
    return write_read_page(read_date(client, trade_date), file)


def write_read_page(day: DatePage, file: Path) -> int:
    """As ``write_page``, of what was read already."""
    content = render(day).encode()
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SelectionError(
            f"{file}: the page cannot be written ({error.strerror}). Name another file, in a "
            "folder that exists"
        ) from error
    return len(content)
