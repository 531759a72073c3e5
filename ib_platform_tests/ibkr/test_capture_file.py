"""Capture files: private, never overwritten, readable however their writer ended."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_file import CaptureWriter, read_capture_file
from ib_platform.ibkr.capture_format import Note, encode_line
from ib_platform_tests.ibkr.test_capture_format import AT, FIRST, HEADER

NAMES = pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])


def notes(count: int) -> list[Note]:
    return [Note(t=AT, ns=number, name="x", text=f"number {number}") for number in range(count)]


def reason(path: Path, *, allow_torn: bool = False) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_capture_file(path, allow_torn=allow_torn)
    assert str(path) in str(caught.value)
    return str(caught.value)


@NAMES
def test_a_closed_file_is_whole(tmp_path: Path, name: str) -> None:
    writer = CaptureWriter(tmp_path / name, HEADER)
    for note in notes(1000):
        writer.write(note)
    writer.close()
    writer.close()
    file = read_capture_file(tmp_path / name)
    assert (file.header, file.lines, file.torn) == (HEADER, tuple(notes(1000)), None)


def test_a_gzip_file_is_one_for_other_programs_too(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    writer = CaptureWriter(path, HEADER)
    writer.write(notes(1)[0])
    writer.flush()
    writer.close()
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert lines == [encode_line(HEADER), encode_line(notes(1)[0])]


@NAMES
def test_only_its_owner_can_read_it(tmp_path: Path, name: str) -> None:
    old = os.umask(0)
    try:
        CaptureWriter(tmp_path / name, HEADER).close()
    finally:
        os.umask(old)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="captures are not overwritten"):
        CaptureWriter(path, HEADER)
    assert path.read_text() == "precious"


def test_nor_is_what_a_link_names(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="not overwritten"):
        CaptureWriter(tmp_path / "link.jsonl", HEADER)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent/c\.jsonl: the capture cannot be made"):
        CaptureWriter(tmp_path / "absent" / "c.jsonl", HEADER)


@NAMES
def test_what_was_flushed_can_be_read_while_it_is_written(tmp_path: Path, name: str) -> None:
    writer = CaptureWriter(tmp_path / name, HEADER)
    for count in (1, 2, 3):
        writer.write(notes(count)[-1])
        writer.flush()
        file = read_capture_file(tmp_path / name, allow_torn=True)
        assert file.lines == tuple(notes(count))
        assert (file.torn is None) is (name == "c.jsonl")
    writer.write(notes(4)[-1])
    assert len(read_capture_file(tmp_path / name, allow_torn=True).lines) == 3
    writer.close()


@NAMES
@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_tail_that_was_cut_off(tmp_path: Path, name: str, cut: int) -> None:
    path = tmp_path / name
    writer = CaptureWriter(path, HEADER)
    for note in notes(200):
        writer.write(note)
        writer.flush()
    writer.close()
    path.write_bytes(path.read_bytes()[:-cut])
    file = read_capture_file(path, allow_torn=True)
    assert file.lines == tuple(notes(200))[: len(file.lines)]
    assert len(file.lines) >= 190
    if file.torn is not None:
        assert "line" in file.torn
        assert "line" in reason(path)


def test_damage_in_the_middle_is_no_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\n".join([encode_line(HEADER), b"garbage", encode_line(notes(1)[0])]))
    assert "line 2: not a line of a capture" in reason(path, allow_torn=True)
    packed = tmp_path / "c.jsonl.gz"
    data = bytearray(gzip.compress(path.read_bytes() * 50))
    data[len(data) // 2] ^= 0xFF
    packed.write_bytes(data)
    assert "c.jsonl.gz, line" in reason(packed, allow_torn=True)


def test_several_gzip_members_and_padding(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    members = [gzip.compress(encode_line(line) + b"\n") for line in notes(3)]
    header = gzip.compress(encode_line(HEADER) + b"\n")
    path.write_bytes(header + b"\0" * 9 + b"".join(members) + b"\0" * 5)
    assert read_capture_file(path).lines == tuple(notes(3))


def test_line_ends_of_another_system(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(FIRST + b"\r\n" + FIRST)
    assert len(read_capture_file(path).lines) == 2


def test_a_line_that_is_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    long = Note(t=AT, ns=0, name="x", text="a" * 1_000_000)
    writer = CaptureWriter(path, HEADER)
    writer.write(long)
    writer.close()
    assert read_capture_file(path).lines == (long,)


KILLED = """
import os, signal, sys
from pathlib import Path
from ib_platform.ibkr.capture_file import CaptureWriter
from ib_platform_tests.ibkr.test_capture_format import HEADER
from ib_platform_tests.ibkr.test_capture_file import notes
writer = CaptureWriter(Path(sys.argv[1]), HEADER)
for number, note in enumerate(notes(5000)):
    writer.write(note)
    if number == 4000:
        writer.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@NAMES
def test_a_killed_writer_leaves_what_it_flushed(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
    assert done.returncode == -signal.SIGKILL
    file = read_capture_file(tmp_path / name, allow_torn=True)
    assert file.lines == tuple(notes(4001))


FULL = """
import resource, signal, sys
from pathlib import Path
from ib_platform.errors import PlatformError
from ib_platform.ibkr.capture_file import CaptureWriter
from ib_platform_tests.ibkr.test_capture_format import HEADER
from ib_platform_tests.ibkr.test_capture_file import notes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = CaptureWriter(Path(sys.argv[1]), HEADER)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    for note in notes(1000):
        writer.write(note)
        writer.flush()
except PlatformError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert f"{path}: the capture cannot be written" in done.stdout
    file = read_capture_file(path, allow_torn=True)
    assert file.torn is not None
    assert file.lines == tuple(notes(1000))[: len(file.lines)]
    assert len(file.lines) > 10
