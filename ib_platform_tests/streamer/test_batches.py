"""The manifest file: atomic, checked, never guessed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import SpoolError
from ib_platform.marketdata.frames import DECODER_VERSION
from ib_platform.streamer.batches import (
    MANIFEST_NAME,
    Batch,
    Manifest,
    Part,
    Recovery,
    load_manifest,
    save_manifest,
    token_of,
)
from ib_platform.streamer.decode import TABLES, RunDecoder
from ib_platform.streamer.records import Record, RecordKind
from ib_platform.streamer.segments import Position
from ib_platform_tests.streamer.spools import BASE_NS
from ib_platform_tests.support import capture_ladder_payloads


def full_manifest() -> Manifest:
    decoder = RunDecoder("alpha", "run-1")
    payloads = capture_ladder_payloads()[:50]
    decoder.decode(Record(RecordKind.FRAME, BASE_NS, 1, n, 1, p) for n, p in enumerate(payloads))
    begin, end = Position("run-1", 2, 100), Position("run-1", 2, 9000)
    parts = tuple(Part(table, token_of(table, begin, end), 50) for table in TABLES)
    return Manifest(
        "alpha", begin, decoder, Batch(end, parts), Recovery("run-0", "run-1"), ("run-a",)
    )


def test_a_folder_without_manifest_is_at_its_beginning(tmp_path: Path) -> None:
    assert load_manifest(tmp_path, "alpha") == Manifest("alpha")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    manifest = full_manifest()
    save_manifest(tmp_path, manifest)
    assert load_manifest(tmp_path, "alpha") == manifest
    save_manifest(tmp_path, Manifest("alpha"))
    assert load_manifest(tmp_path, "alpha") == Manifest("alpha")
    assert [file.name for file in tmp_path.iterdir()] == [MANIFEST_NAME]


def test_a_write_that_was_killed_leaves_the_old_manifest(tmp_path: Path) -> None:
    manifest = full_manifest()
    save_manifest(tmp_path, manifest)
    (tmp_path / MANIFEST_NAME).with_suffix(".tmp").write_bytes(b'{"crc')
    assert load_manifest(tmp_path, "alpha") == manifest
    save_manifest(tmp_path, Manifest("alpha"))
    assert load_manifest(tmp_path, "alpha") == Manifest("alpha")


@given(st.data())
def test_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    manifest = full_manifest()
    save_manifest(folder, manifest)
    path = folder / MANIFEST_NAME
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(SpoolError, match=r"manifest\.json"):
        load_manifest(folder, "alpha")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\x00" * 100, b'{"crc32c":1}'])
def test_a_damaged_manifest_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(SpoolError, match=r"is damaged .* moves it aside"):
        load_manifest(tmp_path, "alpha")


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    save_manifest(tmp_path, msgspec.structs.replace(full_manifest(), version=2))
    with pytest.raises(SpoolError, match="manifest version 2"):
        load_manifest(tmp_path, "alpha")


def test_the_manifest_of_another_paper_user_is_refused(tmp_path: Path) -> None:
    save_manifest(tmp_path, full_manifest())
    with pytest.raises(SpoolError, match="belongs to paper user 'alpha', not 'beta'"):
        load_manifest(tmp_path, "beta")


def test_a_manifest_that_cannot_be_written_stays(tmp_path: Path) -> None:
    save_manifest(tmp_path, full_manifest())
    (tmp_path / MANIFEST_NAME).with_suffix(".tmp").mkdir()
    with pytest.raises(SpoolError, match="nothing was sent"):
        save_manifest(tmp_path, Manifest("alpha"))
    assert load_manifest(tmp_path, "alpha") == full_manifest()


def test_tokens_differ_by_table_and_range() -> None:
    a, b, c = (Position("run-1", segment, offset) for segment, offset in ((0, 9), (0, 99), (1, 9)))
    ranges = [(a, b), (c, Position("run-1", 1, 99)), (a, Position("run-1", 0, 100))]
    tokens = [token_of(table, begin, end) for table in TABLES for begin, end in ranges]
    assert len(set(tokens)) == len(tokens)
    assert token_of("frames", a, b) == "run-1/0:9-99/frames"
    assert token_of("ladder_frames", a, b) == f"run-1/0:9-99/ladder_frames/v{DECODER_VERSION}"
