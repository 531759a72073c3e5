"""The pure parts of the endpoint: options, errors, content encodings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from clickhouse_connect.driver.transform import extract_exception_with_tag
from hypothesis import example, given
from hypothesis import strategies as st

from ib_platform.warehouse.embedded_codings import Decoder, encoder_for
from ib_platform.warehouse.embedded_protocol import (
    EngineError,
    Options,
    frame_exception,
    new_exception_tag,
    parse_options,
    quote_name,
    quote_string,
)

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "": bytes,
}


@given(
    encoding=st.sampled_from(sorted(COMPRESS)),
    blocks=st.lists(st.binary(max_size=300), max_size=5),
    cut=st.integers(1, 50),
)
def test_frames_in_any_pieces(encoding: str, blocks: list[bytes], cut: int) -> None:
    body = b"".join(COMPRESS[encoding](block) for block in blocks)
    decoder = Decoder(encoding)
    pieces = [decoder.decode(body[start : start + cut]) for start in range(0, len(body), cut)]
    decoder.finish()
    assert b"".join(pieces) == b"".join(blocks)


@given(
    encoding=st.sampled_from(["lz4", "zstd", "gzip", "deflate", "identity"]),
    blocks=st.lists(st.binary(max_size=300), max_size=5),
)
@example(encoding="lz4", blocks=[b"", bytes(31)])
def test_what_is_encoded_decodes(encoding: str, blocks: list[bytes]) -> None:
    encoder, decoder = encoder_for(encoding), Decoder(encoding)
    sent, seen = b"", []
    for number, block in enumerate(blocks, 1):
        piece = encoder.encode(block)
        sent += piece
        seen.append(decoder.decode(piece))
        # A reader of a stream gets each block when it comes, not at the end.
        assert _readable(encoding, sent) == b"".join(blocks[:number])
    seen.append(decoder.decode(encoder.finish()))
    decoder.finish()
    assert b"".join(seen) == b"".join(blocks)


def _readable(encoding: str, sent: bytes) -> bytes:
    """What is in the pieces of an open frame. The lz4 package hands out the rest of a block only
    when it is given more, like the mark that ends a frame."""
    return Decoder(encoding).decode(sent + (bytes(4) if encoding == "lz4" and sent else b""))


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_a_cut_frame_is_noticed(encoding: str) -> None:
    decoder = Decoder(encoding)
    decoder.decode(COMPRESS[encoding](b"x" * 1000)[:-3])
    with pytest.raises(EngineError, match="cut short"):
        decoder.finish()


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        ("lz4,zstd,gzip,deflate", "lz4"),
        ("gzip;q=0.5, zstd", "zstd"),
        ("br", "identity"),
        ("", "identity"),
        ("GZIP", "gzip"),
    ],
)
def test_the_cheapest_accepted_encoding(accepted: str, name: str) -> None:
    assert encoder_for(accepted).name == name


def test_options_are_sorted() -> None:
    options = parse_options(
        {
            "database": "ib",
            "query": "SELECT 1",
            "param_x": "1",
            "max_threads": "2",
            "wait_end_of_query": "1",
            "client_protocol_version": "54405",
            "session_id": "s",
            "session_timeout": "999999",
        }
    )
    assert options == Options(
        database="ib",
        settings={"max_threads": "2"},
        parameters={"x": "1"},
        session_id="s",
        session_timeout=3600,
        wait_end=True,
    )


@pytest.mark.parametrize("name", ["a b", "1a", "a;b", "a'b", ""])
def test_a_name_that_is_no_setting(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        parse_options({name: "1"})
    assert caught.value.code == 115


def test_engine_messages_keep_their_code() -> None:
    text = "Streaming query failed: Code: 60. DB::Exception: no.\nsuch table (UNKNOWN_TABLE)"
    error = EngineError.from_engine(RuntimeError(text))
    assert (error.code, error.status) == (60, 404)
    assert error.text == text.partition(": ")[2]
    unknown = EngineError.from_engine(RuntimeError("boom"))
    assert (unknown.code, unknown.status) == (1002, 500)


def test_quotes_do_not_end_early() -> None:
    assert quote_string("it's \\") == "'it\\'s \\\\'"
    assert quote_name("a`b\\") == "`a\\`b\\\\`"


def test_the_client_reads_a_framed_error() -> None:
    tag = new_exception_tag()
    error = EngineError(241, "Code: 241. DB::Exception: größer (MEMORY_LIMIT_EXCEEDED)")
    assert len(tag) == 16
    assert extract_exception_with_tag(b"\x01\x02" + frame_exception(tag, error), tag) == error.text
