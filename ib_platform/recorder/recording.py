"""The recording in the making: stamp, mask, write. The only way to the file is through the mask.

Lines that come before the file may be made (nothing is written until the login is proven to be
paper) wait in memory, masked already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ib_platform.clocks import Clocks
from ib_platform.ibkr.capture_file import CaptureWriter
from ib_platform.ibkr.capture_format import (
    Direction,
    Exchange,
    Header,
    Line,
    Note,
    frame_line,
)
from ib_platform.recorder.masking import Masker

KEPT_HEADERS = ("content-type", "location", "retry-after", "x-response-time")
"""Headers of an answer that are written down. Not among them: cookies, and the length, which the
mask changes."""
_QUERY_SAFE = ',@{}:"'


class Recording:
    """One capture file, from before it is there until it is closed. ``counts``: lines by what they
    are: ``in``, ``out``, ``rest``, ``note``."""

    def __init__(self, masker: Masker, clocks: Clocks | None = None) -> None:
        self.masker = masker
        self.clocks = clocks or Clocks()
        self.counts: Counter[str] = Counter()
        self._began = self.clocks.monotonic()
        self._early: list[Line] = []
        self._writer: CaptureWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file was made."""
        return self._writer is not None

    def open(self, path: Path, header: Header) -> None:
        """Make the file and write what waited. Raises ConfigurationError: it cannot be made."""
        self._writer = CaptureWriter(path, header)
        for line in self._early:
            self._writer.write(line)
        self._early = []

    def frame(self, direction: Direction, payload: bytes, *, text: bool, connection: int) -> None:
        """One websocket message, as it came or went."""
        at, ns = self._stamp()
        masked = self.masker.payload(payload)
        line = frame_line(at, ns, direction, masked, text=text, connection=connection)
        self._write(direction, line)

    def exchange(
        self,
        method: str,
        path: str,
        query: str,
        *,
        began_ns: int,
        request: str = "",
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """One REST call and its answer. ``began_ns``: the monotonic clock when it was asked."""
        at, ns = self._stamp()
        pairs = self.masker.pairs(parse_qsl(query, keep_blank_values=True))
        kept = {
            name: text for name, text in (headers or {}).items() if name.lower() in KEPT_HEADERS
        }
        line = Exchange(
            t=at,
            ns=ns,
            took_ns=max(0, self.clocks.monotonic() - began_ns),
            method=method,
            path=self.masker.text(path),
            query=urlencode(pairs, safe=_QUERY_SAFE),
            request=self.masker.text(request),
            status=status,
            headers=self.masker.headers(kept),
            body=self.masker.payload(body).decode("utf-8", "backslashreplace"),
        )
        self._write("rest", line)

    def note(self, name: str, text: str = "", /, **data: Any) -> None:
        """Something the recorder did or concluded. ``data`` holds numbers and words of our own;
        ``text`` may quote a gateway and is masked."""
        at, ns = self._stamp()
        self._write("note", Note(t=at, ns=ns, name=name, text=self.masker.text(text), data=data))

    def flush(self) -> None:
        """Hand over to the operating system what was written. Raises PlatformError: disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """End the file properly. No-op if it was never made."""
        if self._writer is not None:
            self._writer.close()

    def _stamp(self) -> tuple[datetime, int]:
        return self.clocks.utc(), max(0, self.clocks.monotonic() - self._began)

    def _write(self, what: str, line: Line) -> None:
        self.counts[what] += 1
        if self._writer is None:
            self._early.append(line)
        else:
            self._writer.write(line)
