"""The chDB engine: its handles, sessions, statements and inserts. All calls block; none is async.

A handle is what a server calls a session: it carries SET, USE and temporary tables. A request gets
a fresh one (1 ms), or the one that its ``session_id`` keeps. One thread at a time uses a handle.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb

from ib_platform.warehouse.embedded_protocol import (
    SESSION_IS_LOCKED,
    SESSION_NOT_FOUND,
    EngineError,
    Options,
    quote_name,
    quote_string,
)
from ib_platform.warehouse.sql_text import first_word

logger = logging.getLogger(__name__)

_QUIET = "TabSeparated"


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError.from_engine(error) from error
    except chdb.ChdbError as error:
        raise EngineError.from_engine(error) from error


@dataclass(frozen=True)
class Counts:
    """Rows and bytes that a statement read from tables and wrote to them."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0

    def summary(self) -> str:
        """The X-ClickHouse-Summary header: JSON with numbers as strings."""
        return json.dumps({name: str(value) for name, value in vars(self).items()})


class Handle:
    """A chDB connection during one request: options applied, one statement, options undone."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def prepare(self, options: Options, query_id: str) -> None:
        """Apply the request's database and settings; EngineError as the engine words it.

        ``query_id`` goes into ``log_comment``: chDB gives statements ids of its own, so this is
        how ``Engine.kill`` finds one again.
        """
        if options.database is not None:
            self.run(f"USE {quote_name(options.database)}")
        settings = {**options.settings, "log_comment": query_id}
        pairs = ", ".join(f"{name} = {quote_string(value)}" for name, value in settings.items())
        self.run(f"SET {pairs}")

    def run(self, sql: str) -> bytes:
        """Run a statement of our own."""
        with _engine_errors():
            return bytes(self._connection.query(sql, _QUIET).bytes())

    def query(self, sql: bytes, output: str, options: Options) -> tuple[bytes, Counts]:
        """Run a statement to its end; the whole result."""
        with _engine_errors():
            result = self._connection.query(sql, output, params=dict(options.parameters))
            body = bytes(result.bytes())
            return body, Counts(
                result.storage_rows_read(),
                result.storage_bytes_read(),
                result.rows_written(),
                result.bytes_written(),
            )

    def stream(self, sql: bytes, output: str, options: Options) -> QueryStream:
        """A SELECT whose blocks are fetched one by one; nothing runs before the first."""
        return QueryStream(
            lambda: self._connection.send_query(sql, output, params=dict(options.parameters))
        )

    def state(self, options: Options) -> list[str]:
        """Statements that bring back what ``prepare(options)`` is about to change."""
        names = ["log_comment", *options.settings]
        listed = ", ".join(quote_string(name) for name in names)
        rows = self.run(
            "SELECT name, value, changed FROM system.settings "
            f"WHERE name IN ({listed}) FORMAT JSONCompactEachRow"
        )
        restore = []
        for line in rows.splitlines():
            name, value, changed = json.loads(line)
            restore.append(f"SET {name} = {quote_string(value) if changed else 'DEFAULT'}")
        database = json.loads(self.run("SELECT currentDatabase() FORMAT JSONCompactEachRow"))[0]
        restore.append(f"USE {quote_name(database)}")
        return restore

    def close(self) -> None:
        self._connection.close()


class QueryStream:
    """The blocks of a SELECT."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._result: Any = None

    def fetch(self) -> bytes | None:
        """The next block in the output format, None at the end."""
        with _engine_errors():
            if self._result is None:
                self._result = self._start()
            block = self._result.fetch()
            return None if block is None else bytes(block.bytes())

    def cancel(self) -> None:
        """End the SELECT; without effect once it has ended."""
        if self._result is not None:
            with _engine_errors():
                self._result.cancel()


class _Session:
    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.busy = True
        self.expires = 0.0


class Engine:
    """The one owner of a chDB data folder. Thread-safe."""

    def __init__(self, data: Path, config_file: Path) -> None:
        """Open the engine; EngineError if the folder is locked or damaged."""
        # implicit_select is a habit of clickhouse-local; a server calls `abc` a syntax error.
        self._address = f"{data}?config-file={config_file}&implicit_select=0"
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        # The engine lives as long as any handle is open: this one.
        self._root = self._open()
        self.version = self._root.run("SELECT version()").decode().strip()
        self.timezone = self._root.run("SELECT timezone()").decode().strip()

    def _open(self) -> Handle:
        with _engine_errors():
            return Handle(chdb.connect(self._address))  # type: ignore[no-untyped-call]

    @contextmanager
    def lease(self, options: Options, sql: str, query_id: str) -> Iterator[Handle]:
        """A prepared handle for one statement.

        Raises:
            EngineError: unknown or busy session, unknown database or setting.
        """
        if options.session_id is None:
            handle = self._open()
            try:
                handle.prepare(options, query_id)
                yield handle
            finally:
                handle.close()
            return
        session = self._take_session(options.session_id, options.session_must_exist)
        try:
            # What the statement itself sets has to outlive the request.
            keeps = first_word(sql) in ("SET", "USE")
            restore = [] if keeps else session.handle.state(options)
            try:
                session.handle.prepare(options, query_id)
                yield session.handle
            finally:
                for statement in restore:
                    session.handle.run(statement)
        finally:
            session.expires = time.monotonic() + options.session_timeout
            session.busy = False

    def _take_session(self, session_id: str, must_exist: bool) -> _Session:
        self.expire_sessions()
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                if must_exist:
                    raise EngineError.of(SESSION_NOT_FOUND, f"Session {session_id} not found")
                session = _Session(self._open())
                self._sessions[session_id] = session
                return session
            if session.busy:
                raise EngineError.of(SESSION_IS_LOCKED, f"Session {session_id} is locked")
            session.busy = True
            return session

    def expire_sessions(self) -> None:
        """Close the sessions that nobody has used for as long as they asked for."""
        now = time.monotonic()
        with self._lock:
            old = [k for k, s in self._sessions.items() if not s.busy and s.expires <= now]
            sessions = [self._sessions.pop(key) for key in old]
        for session in sessions:
            session.handle.close()

    def kill(self, query_id: str | None = None) -> bool:
        """Cancel the statement of a request, or all of them; whether there was one."""
        which = "1" if query_id is None else f"Settings['log_comment'] = {quote_string(query_id)}"
        killer = self._open()
        try:
            return bool(killer.run(f"KILL QUERY WHERE query_id != queryID() AND {which} ASYNC"))
        finally:
            killer.close()

    def close(self) -> None:
        """Close the engine. No statement may be running."""
        for session in self._sessions.values():
            session.handle.close()
        self._sessions.clear()
        self._root.close()
