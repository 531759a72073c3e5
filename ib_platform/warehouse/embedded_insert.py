"""An INSERT that takes its data piece by piece, through a pipe.

chDB's own streaming insert is of no use: it reports success where the engine refused the rows at
the end (seen with a CHECK constraint, chDB 26.9). ``INSERT ... FROM INFILE`` of a pipe is the
engine's ordinary insert, so it reports every error; but the end of a pipe looks like the end of
the data. Hence a broken request first cancels the statement and then closes the pipe.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from ib_platform.warehouse.embedded_engine import Counts, Engine, Handle
from ib_platform.warehouse.embedded_protocol import (
    UNKNOWN_EXCEPTION,
    EngineError,
    Options,
    quote_string,
)
from ib_platform.warehouse.sql_text import InsertHead

logger = logging.getLogger(__name__)

PIPE_BYTES = 1024**2


class InsertStream:
    """A running INSERT. Its rows count when ``finish`` returns. All methods block, only the
    constructor does not."""

    def __init__(
        self, engine: Engine, handle: Handle, head: InsertHead, options: Options, query_id: str
    ) -> None:
        """Start the statement; ``query_id`` is the one that ``handle`` was prepared with."""
        self._kill: Callable[[], bool] = lambda: engine.kill(query_id)
        self._counts: Counts | None = None
        self._error: EngineError | None = None
        self._reader, self._writer = os.pipe()
        self._open = True
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(PermissionError):
                fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        source = quote_string(f"/dev/fd/{self._reader}")
        sql = f"{head.sql} FROM INFILE {source} {head.settings} FORMAT {head.format}"
        # A thread of its own: in the pool, inserts could take all threads and wait for their data.
        self._thread = threading.Thread(
            target=self._run, args=(handle, sql.encode("latin-1"), options), name="insert"
        )
        self._thread.start()

    def _run(self, handle: Handle, sql: bytes, options: Options) -> None:
        try:
            _, self._counts = handle.query(sql, "TabSeparated", options)
        except EngineError as error:
            self._error = error
        finally:
            # From now on a writer that still waits gets BrokenPipeError.
            os.close(self._reader)

    def append(self, data: bytes) -> None:
        """Hand over data; EngineError if the statement has failed."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._writer, view) :]
        except BrokenPipeError:
            self._end()
            raise self._failure() from None

    def finish(self) -> Counts:
        """All data are there: wait until the rows are stored; EngineError if they are not."""
        self._end()
        if self._counts is None:
            raise self._failure()
        return self._counts

    def cancel(self) -> None:
        """Drop the insert, unless it has ended. Blocks that a very large insert stored before stay
        stored, as on a server: hence tokens and retries."""
        while self._thread.is_alive() and not self._kill():
            # The statement may not have reached the engine yet.
            self._thread.join(0.01)
        self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            os.close(self._writer)
        self._thread.join()

    def _failure(self) -> EngineError:
        return self._error or EngineError.of(UNKNOWN_EXCEPTION, "the insert ended before its data")
