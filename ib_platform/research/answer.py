"""What the commands do: options as text -> rows -> terminal or files."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ib_platform.errors import ConfigurationError, NothingRecordedError, SelectionError
from ib_platform.research.api import Warehouse
from ib_platform.research.files import FileFormat, write, write_file
from ib_platform.research.rows import Rows
from ib_platform.research.show import TABLE_COLUMNS, ProgressBar, show
from ib_platform.research.span import to_datetime
from ib_platform.warehouse.times import span_of

Options = Mapping[str, Any]
_OF_ALL_CONTRACTS = ("gaps", "quality", "checks")


def answer(table: str, contract: str | None, options: Options) -> None:
    """Print or write what a command was asked for."""
    output, form = options["output"], _format(options["form"], options["output"])
    with Warehouse.open(options["config_file"]) as warehouse:
        shown = TABLE_COLUMNS[table] if form is None else None
        rows = _rows(warehouse, table, contract, options, shown)
        if form is None:
            show(rows, options["limit"], Console(), floats=options["floats"])
        elif output is None:
            sink = sys.stdout.buffer
            bar = ProgressBar(table, quiet=sink.isatty())
            write(rows, sink, form, floats=options["floats"], watch=bar)
        else:
            _to_file(rows, output, form, options)


def export_all(table: str, contracts: Sequence[str], options: Options) -> None:
    """A file per contract. Without names: of every contract that has something in the span.

    Raises:
        NothingRecordedError: a contract that is named has nothing, or none has.
    """
    folder, form = options["output"], FileFormat(options["form"])
    with Warehouse.open(options["config_file"]) as warehouse:
        chosen: list[str | None] = list(contracts)
        if not chosen:
            chosen = [None] if table in _OF_ALL_CONTRACTS else [*warehouse.contracts()]
        without: NothingRecordedError | None = None
        written = 0
        for contract in chosen:
            try:
                rows = _rows(warehouse, table, contract, options)
            except NothingRecordedError as error:
                if contracts:
                    raise
                without = error
                click.echo(f"left out: {error}", err=True)
                continue
            _create(folder)
            name = _file_name(table, contract, options)
            _to_file(rows, folder / f"{name}.{form.value}", form, options)
            written += 1
        if not written:
            raise without or NothingRecordedError("no contract was recorded yet")


def _rows(
    warehouse: Warehouse,
    table: str,
    contract: str | None,
    options: Options,
    shown: Sequence[str] | None = None,
) -> Rows:
    span = span_of(datetime.now(UTC), options["trade_date"], options["begin"], options["end"])
    begin, end = to_datetime(span.begin), to_datetime(span.end)
    named = options["columns"]
    columns = shown if named is None else [name.strip() for name in named.split(",")]
    filters: dict[str, Any] = {"min_verdict": options["min_verdict"], "columns": columns}
    if table == "quality":
        return warehouse.quality(contract, begin, end, **filters)
    if table in ("gaps", "checks"):
        _refuse(options, table, "min_verdict", "drop_suspect")
        read = warehouse.gaps if table == "gaps" else warehouse.quality_checks
        return read(contract, begin, end, columns=columns)
    if contract is None:
        raise SelectionError(f"of which contract? Known: {', '.join(warehouse.contracts())}")
    if table == "quotes":
        _refuse(options, "quotes", "drop_suspect")
        return warehouse.quotes(contract, begin, end, **filters)
    filters["drop_suspect"] = options["drop_suspect"]
    if table == "bars":
        return warehouse.bars(contract, options["size"], begin, end, **filters)
    if table == "continuous":
        return warehouse.continuous(contract, options["size"], begin, end, **filters)
    return warehouse.depth(contract, begin, end, **filters)


def _refuse(options: Options, table: str, *names: str) -> None:
    for name in names:
        if options.get(name):
            raise ConfigurationError(
                f"--{name.replace('_', '-')} means nothing for {table}: leave it out"
            )


def _format(form: str | None, output: Path | None) -> FileFormat | None:
    """None: a table for people."""
    if output is None:
        if form == "parquet":
            raise ConfigurationError("parquet is not for a terminal: name a file with --output")
        return None if form in (None, "table") else FileFormat(form)
    if form == "table":
        raise ConfigurationError("a file is csv or parquet; --limit shows more rows of a table")
    try:
        return FileFormat(form or output.suffix.removeprefix("."))
    except ValueError as error:
        raise ConfigurationError(
            f"{output} ends neither in .csv nor in .parquet: say which with --format"
        ) from error


def _to_file(rows: Rows, file: Path, form: FileFormat, options: Options) -> None:
    count = write_file(
        rows, file, form, floats=options["floats"], force=options["force"],
        watch=ProgressBar(file.name),
    )  # fmt: skip
    click.echo(f"{file}: {count:,} rows")


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} is no folder: {error.strerror}") from error


def _file_name(table: str, contract: str | None, options: Options) -> str:
    size = f"_{options['size']}" if table == "bars" else ""
    return f"{table}{size}" + ("" if contract is None else "_" + re.sub(r"[^\w.-]", "_", contract))
