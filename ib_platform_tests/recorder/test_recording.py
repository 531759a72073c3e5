"""From what is seen to lines: stamped, masked, in order, in memory until the file may be there."""

from __future__ import annotations

import itertools
from pathlib import Path

from ib_platform.clocks import Clocks
from ib_platform.ibkr.capture_file import CaptureFile, read_capture_file
from ib_platform.ibkr.capture_format import Exchange, Frame, Header, Note
from ib_platform.recorder.masking import Masker
from ib_platform.recorder.recording import Recording
from ib_platform_tests.ibkr.test_capture_format import AT, HEADER

WALL = 1_800_000_000_123_456_789
ACCOUNT, USERNAME = "DU7654321", "hansmeier7"


def recording() -> Recording:
    """Its monotonic clock moves on by a second at each look."""
    ticks = itertools.count(5_000_000_000, 1_000_000_000)
    return Recording(Masker(ACCOUNT, USERNAME), Clocks(lambda: WALL, lambda: next(ticks)))


def closed(made: Recording, path: Path, header: Header = HEADER) -> CaptureFile:
    made.open(path, header)
    made.close()
    return read_capture_file(path)


def test_what_came_before_the_file_is_in_it(tmp_path: Path) -> None:
    made = recording()
    made.note("first")
    assert not made.is_open
    made.flush()
    assert list(tmp_path.iterdir()) == []
    made.open(tmp_path / "c.jsonl", HEADER)
    made.note("second")
    made.close()
    lines = read_capture_file(tmp_path / "c.jsonl").lines
    assert [line.name for line in lines if isinstance(line, Note)] == ["first", "second"]
    assert [line.ns for line in lines] == [1_000_000_000, 2_000_000_000]
    assert {line.t.isoformat() for line in lines} == {"2027-01-15T08:00:00.123456+00:00"}


def test_a_recording_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    made = recording()
    made.frame("in", b"secret", text=False, connection=1)
    made.close()
    assert list(tmp_path.iterdir()) == []


def test_frames_are_masked_in_both_directions(tmp_path: Path) -> None:
    made = recording()
    made.frame("out", f"sbd+{ACCOUNT}+42".encode(), text=True, connection=1)
    made.frame("in", f'{{"topic":"sbd+{ACCOUNT}+42"}}'.encode(), text=False, connection=2)
    made.frame("in", b"\xff" + ACCOUNT.encode(), text=False, connection=2)
    frames = [x for x in closed(made, tmp_path / "c.jsonl").lines if isinstance(x, Frame)]
    assert [(f.dir, f.opcode, f.connection, f.payload) for f in frames] == [
        ("out", "text", 1, b"sbd+DU1000001+42"),
        ("in", "binary", 2, b'{"topic":"sbd+DU1000001+42"}'),
        ("in", "binary", 2, b"\xffDU1000001"),
    ]
    assert made.counts == {"out": 1, "in": 2}


def test_an_exchange_is_masked_everywhere(tmp_path: Path) -> None:
    made = recording()
    made.exchange(
        "GET",
        f"/iserver/account/{ACCOUNT}/orders",
        f"acctId={ACCOUNT}&who={USERNAME}%20x&symbols=CL,ES",
        began_ns=6_000_000_000,
        request=f'{{"user":"{USERNAME}"}}',
        status=302,
        headers={
            "Content-Type": "text/html",
            "Location": f"https://localhost/sso?user={USERNAME}",
            "Set-Cookie": "USERID=287654321",
            "Cookie": "api=cafe",
        },
        body=f"<p>{USERNAME} of {ACCOUNT}</p>".encode(),
    )
    path = tmp_path / "c.jsonl"
    [line] = closed(made, path).lines
    assert isinstance(line, Exchange)
    assert line.path == "/iserver/account/DU1000001/orders"
    assert line.query == "acctId=DU1000001&who=papera01+x&symbols=CL,ES"
    assert line.request == '{"user":"papera01"}'
    assert line.headers == {
        "Content-Type": "text/html",
        "Location": "https://localhost/sso?user=papera01",
    }
    assert line.body == "<p>papera01 of DU1000001</p>"
    assert line.took_ns == 1_000_000_000
    text = path.read_text()
    assert not [secret for secret in (ACCOUNT, USERNAME, "287654321", "cafe") if secret in text]


def test_a_call_without_an_answer(tmp_path: Path) -> None:
    made = recording()
    made.exchange("GET", "/tickle", "", began_ns=0, body=b"refused by 81.169.145.7")
    [line] = closed(made, tmp_path / "c.jsonl").lines
    assert isinstance(line, Exchange)
    assert (line.status, line.body) == (None, "refused by 192.0.2.1")


def test_a_body_that_is_no_text(tmp_path: Path) -> None:
    made = recording()
    made.exchange("GET", "/x", "", began_ns=0, status=200, body=b"\xffcaf\xc3\xa9")
    [line] = closed(made, tmp_path / "c.jsonl").lines
    assert isinstance(line, Exchange)
    assert line.body == "\\xffcaf\u00e9"


def test_notes_quote_a_gateway_masked(tmp_path: Path) -> None:
    made = recording()
    made.note("websocket.refused", f"no session of {USERNAME}", connection=1)
    [line] = closed(made, tmp_path / "c.jsonl").lines
    assert isinstance(line, Note)
    assert (line.text, line.data) == ("no session of papera01", {"connection": 1})
    assert line.t > AT
