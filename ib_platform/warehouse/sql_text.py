"""SQL as text: where statements end, where the data of an INSERT begin, which format is asked for.

A tokenizer for ClickHouse's lexical rules (comments, strings, quoted identifiers, heredocs), not a
parser: nothing here judges whether a statement is valid. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/)
  | (?P<quoted>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_FORMAT = re.compile(r"[ \t]*;?[ \t]*(\r?\n)?")
_NAMES_A_TABLE = {"INTO", "TABLE", "."}
_READS = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"}


@dataclass(frozen=True)
class Token:
    """A piece of SQL that is neither blank nor a comment; ``start`` and ``end`` are offsets."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word in upper case, the character of a punctuation, empty for a quoted piece."""
        return "" if self.kind == "quoted" else self.text.upper()


@dataclass(frozen=True)
class InsertHead:
    """An INSERT whose data follow: ``INSERT INTO t (a)``, its SETTINGS clause, which may be empty,
    the format of the data and where they begin."""

    sql: str
    settings: str
    format: str
    data_start: int


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of ``sql``, lazily, without blanks and comments."""
    for match in _TOKEN.finditer(sql):
        kind = "quoted" if match["quoted"] is not None else str(match.lastgroup)
        if kind != "blank":
            yield Token(kind, match[0], match.start(), match.end())


def split_statements(sql: str) -> list[str]:
    """The statements between semicolons, stripped; pieces of nothing but comments are left out."""
    statements: list[str] = []
    start: int | None = None
    end = 0
    for token in tokens(sql):
        if token.word == ";":
            if start is not None:
                statements.append(sql[start:end])
            start = None
            continue
        start = token.start if start is None else start
        end = token.end
    if start is not None:
        statements.append(sql[start:end])
    return statements


def first_word(sql: str) -> str:
    """The first word in upper case behind comments and opening brackets; empty if there is none."""
    for token in tokens(sql):
        if token.word != "(":
            return token.word
    return ""


def is_read(sql: str) -> bool:
    """Whether the statement only answers: SELECT and its kin, without an INSERT behind WITH."""
    word = first_word(sql)
    if word == "WITH":
        return not any(token.word == "INSERT" for token in _outer_tokens(sql))
    return word in _READS


def find_insert_head(sql: str) -> InsertHead | None:
    """The head of ``INSERT ... FORMAT name <data>``; None for everything else, VALUES included,
    which the engine reads as part of the statement. ``sql`` may end within the data, which need
    not be text."""
    previous = ""
    settings: int | None = None
    for token in _outer_tokens(sql):
        word = token.word
        if not previous and word != "INSERT":
            return None
        if previous not in _NAMES_A_TABLE:
            if word in ("SELECT", "WITH", "VALUES", "INFILE"):
                return None
            if word == "SETTINGS":
                settings = token.start
            if word == "FORMAT":
                return _head(sql, token, settings)
        previous = word or token.kind
    return None


def _head(sql: str, token: Token, settings: int | None) -> InsertHead | None:
    name = next(tokens(sql[token.end : token.end + 200]), None)
    if name is None or name.kind != "word":
        return None
    end = token.end + name.end
    after = _AFTER_FORMAT.match(sql, end)
    settings = token.start if settings is None else settings
    return InsertHead(
        sql[:settings].rstrip(),
        sql[settings : token.start].rstrip(),
        name.text,
        after.end() if after else end,
    )


def find_format(sql: str) -> str | None:
    """The name in the FORMAT clause at the end of the statement, None without one."""
    outer = list(_outer_tokens(sql))
    for index in range(len(outer) - 2, 0, -1):
        token, name = outer[index], outer[index + 1]
        if token.word != "FORMAT" or name.kind != "word":
            continue
        after = outer[index + 2].word if index + 2 < len(outer) else ""
        if after in ("", ";", "SETTINGS") and outer[index - 1].word != "AS":
            return name.text
    return None


def _outer_tokens(sql: str) -> Iterator[Token]:
    """Tokens outside brackets."""
    depth = 0
    for token in tokens(sql):
        if token.word == ")":
            depth = max(0, depth - 1)
        elif token.word == "(":
            depth += 1
        elif depth == 0:
            yield token
