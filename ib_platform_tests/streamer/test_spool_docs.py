"""docs/spool.md does not lie: its bytes are a segment, its words and options are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import ib_platform
from ib_platform.cli import main
from ib_platform.streamer.records import (
    FORMAT_VERSION,
    HEADER_BYTES_AT_MOST,
    RECORD_HEADER_BYTES,
    RecordKind,
    ScanEnd,
    decode_segment_header,
    scan_records,
)
from ib_platform.streamer.spool_commands.findings import Kind
from ib_platform.streamer.spool_commands.progress import Progress

DOCS = (Path(ib_platform.__file__).parents[1] / "docs" / "spool.md").read_text("utf-8")


def commands() -> dict[str, click.Command]:
    spool = main.commands["spool"]
    assert isinstance(spool, click.Group)
    found = {f"spool {name}": command for name, command in spool.commands.items()}
    return {**found, "drain-spool": main.commands["drain-spool"]}


def test_the_bytes_are_those_of_a_segment() -> None:
    rows = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2} ){15}[0-9a-f]{2})  ", DOCS, re.MULTILINE)
    data = bytes.fromhex("".join(rows))
    found = decode_segment_header(data, "docs/spool.md")
    assert found is not None
    header, offset = found
    assert (header.paper_user, header.segment, offset) == ("alpha", 0, 127)
    assert data[8] == FORMAT_VERSION == 1
    assert scan_records(data, offset).status is ScanEnd.TORN, "the record goes on behind them"
    assert int.from_bytes(data[offset : offset + 4], "little") == 132
    assert data[offset + 8] == RecordKind.EVENT
    assert f"| {RECORD_HEADER_BYTES} | | payload" in DOCS
    assert f"at most {HEADER_BYTES_AT_MOST} bytes" in DOCS


@pytest.mark.parametrize("word", [*Progress, *Kind])
def test_every_word_is_explained(word: Progress | Kind) -> None:
    assert re.search(rf"^\| (.*, )?{word}\b.*\|", DOCS, re.MULTILINE), word


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_is_named(name: str) -> None:
    assert f"`ib-platform {name}" in DOCS
    for parameter in commands()[name].params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert option == "--config" or option in DOCS, option


def test_every_command_is_in_the_table_of_commands() -> None:
    table = (Path(ib_platform.__file__).parents[1] / "docs" / "commands.md").read_text("utf-8")
    for name in commands():
        assert f"| `ib-platform {name}" in table
