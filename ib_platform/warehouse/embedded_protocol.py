"""What ClickHouse's HTTP interface says, as data: options of a request, errors, their framing.

Facts: ClickHouse's documentation of the HTTP interface, and what clickhouse-connect 1.12 sends and
reads. Pure.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

CANNOT_READ_ALL_DATA = 33
BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_SETTING = 115
READONLY = 164
ABORTED = 236
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

NAMES = {
    CANNOT_READ_ALL_DATA: "CANNOT_READ_ALL_DATA",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    READONLY: "READONLY",
    ABORTED: "ABORTED",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}
_STATUS = {AUTHENTICATION_FAILED: 403, SYNTAX_ERROR: 400, BAD_ARGUMENTS: 400, ABORTED: 503}
_STATUS |= {60: 404, 81: 404, SESSION_NOT_FOUND: 404, NOT_IMPLEMENTED: 501}

CODE_HEADER = "X-ClickHouse-Exception-Code"
TAG_HEADER = "X-ClickHouse-Exception-Tag"
DEFAULT_FORMAT = "TabSeparated"
STREAMED_FORMATS = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
"""Formats without header and footer: the blocks that chDB hands out one by one form a valid whole
only in these."""

# Everything else in the query string is a setting of the statement or `param_*`.
_TRANSPORT = frozenset(
    {
        "query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "client_protocol_version",
        "role",
        "user",
        "password",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENGINE_MESSAGE = re.compile(r"Code: (\d+)\..*", re.DOTALL)
_MAX_SESSION_TIMEOUT = 3600.0


class EngineError(Exception):
    """An error as ClickHouse reports it: ``code`` and the whole text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @classmethod
    def of(cls, code: int, message: str) -> Self:
        """An error of the endpoint itself, worded as the engine words its own."""
        return cls(code, f"Code: {code}. DB::Exception: {message} ({NAMES[code]})")

    @classmethod
    def from_engine(cls, error: Exception) -> Self:
        """The engine's error behind an exception of chDB."""
        found = _ENGINE_MESSAGE.search(str(error))
        if found is None:
            return cls.of(UNKNOWN_EXCEPTION, str(error))
        return cls(int(found[1]), found[0].strip())

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return _STATUS.get(self.code, 500)


@dataclass(frozen=True)
class Options:
    """Everything in a request's query string but the SQL itself."""

    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    session_id: str | None = None
    session_timeout: float = 60.0
    session_must_exist: bool = False
    wait_end: bool = False
    compress: bool = False
    default_format: str = DEFAULT_FORMAT


def parse_options(query: Mapping[str, str]) -> Options:
    """Sort the query string's parameters.

    Raises:
        EngineError: a parameter that is neither known, nor ``param_*``, nor a setting's name, or
            ClickHouse's own block compression, which no supported client asks for.
    """
    settings: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for name, value in query.items():
        if name in _TRANSPORT:
            continue
        if name.startswith("param_"):
            parameters[name.removeprefix("param_")] = value
        elif _SETTING_NAME.fullmatch(name):
            settings[name] = value
        else:
            raise EngineError.of(UNKNOWN_SETTING, f"{name!r} is not the name of a setting")
    for name in ("compress", "decompress"):
        if _flag(query, name):
            raise EngineError.of(NOT_IMPLEMENTED, f"{name}=1: use Content-Encoding instead")
    return Options(
        database=query.get("database") or None,
        settings=settings,
        parameters=parameters,
        session_id=query.get("session_id") or None,
        session_timeout=_session_timeout(query),
        session_must_exist=_flag(query, "session_check"),
        wait_end=_flag(query, "wait_end_of_query"),
        compress=_flag(query, "enable_http_compression"),
        default_format=query.get("default_format") or DEFAULT_FORMAT,
    )


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "0").lower() in ("1", "true")


def _session_timeout(query: Mapping[str, str]) -> float:
    text = query.get("session_timeout", "60")
    if not text.isdecimal():
        raise EngineError.of(BAD_ARGUMENTS, f"session_timeout {text!r} is not a number of seconds")
    return min(float(text), _MAX_SESSION_TIMEOUT)


def quote_string(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def new_exception_tag() -> str:
    """16 letters that no result contains by chance; announced before the first byte."""
    return secrets.token_hex(8)


def frame_exception(tag: str, error: EngineError) -> bytes:
    """An error in the middle of a result, as ClickHouse 25.11 and later write it."""
    text = error.text.encode()
    return b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        text,
        len(text) + 1,
        tag.encode(),
    )
