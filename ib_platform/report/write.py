"""Writes the page of a trade date to a file, whole or not at all."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from ib_platform.errors import SelectionError
from ib_platform.report.day import DatePage
from ib_platform.report.page import render
from ib_platform.report.read import read_date

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def write_page(client: Client, trade_date: date, file: Path) -> int:
    """Write the page of ``trade_date`` to ``file``; an older one is replaced. Returns its bytes.

    Raises:
        SelectionError: ``file`` is a folder or a device, its folder is missing, or cannot be
            written to.
    """
    return write_read_page(read_date(client, trade_date), file)


def write_read_page(day: DatePage, file: Path) -> int:
    """As ``write_page``, of what was read already."""
    content = render(day).encode()
    # os.path, since those of Path fail for a name that is too long. To root, /dev/null is a file
    # like any other: it would be replaced.
    if os.path.exists(file) and not os.path.isfile(file):
        raise _refusal(file, "it is there, and is no file that could be replaced")
    # Of its own short name: that of ``file`` may be as long as the file system allows.
    beside = file.parent / f".page.{uuid4().hex}.part"
    try:
        sink = beside.open("xb")
    except OSError as error:
        raise _refusal(file, error.strerror or str(error)) from error
    try:
        with sink:
            sink.write(content)
        beside.replace(file)
    except OSError as error:
        raise _refusal(file, error.strerror or str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    return len(content)


def _refusal(file: Path, reason: str) -> SelectionError:
    return SelectionError(
        f"{file}: the page cannot be written ({reason}). Name another file, in a folder that exists"
    )
