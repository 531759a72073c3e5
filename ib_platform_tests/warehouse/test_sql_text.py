"""The tokenizer: statements, insert heads, formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.warehouse.sql_text import (
    InsertHead,
    find_format,
    find_insert_head,
    first_word,
    is_read,
    split_statements,
    tokens,
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", []),
        ("-- only a comment;\n/* and; another */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \"a;b\", `c;d`; SELECT 2", ["SELECT ';', \"a;b\", `c;d`", "SELECT 2"]),
        ("SELECT 'it''s; \\'quoted\\';'; x", ["SELECT 'it''s; \\'quoted\\';'", "x"]),
        ("SELECT 1 -- one; still\n + 2; SELECT 3", ["SELECT 1 -- one; still\n + 2", "SELECT 3"]),
        ("SELECT $$a;b$$; SELECT $x$;$$;$x$", ["SELECT $$a;b$$", "SELECT $x$;$$;$x$"]),
        (";;SELECT 1;;", ["SELECT 1"]),
        ("/* head */ SELECT 1 /* tail */ ; -- end", ["SELECT 1"]),
    ],
)
def test_statements_end_at_semicolons_outside_quotes(sql: str, expected: list[str]) -> None:
    assert split_statements(sql) == expected


@pytest.mark.parametrize(
    ("sql", "head", "name", "data"),
    [
        ("INSERT INTO t (a) FORMAT Native\n\x01\x02", "INSERT INTO t (a)", "Native", "\x01\x02"),
        ("insert into t format TSV 1\t2\n", "insert into t", "TSV", "1\t2\n"),
        ("INSERT INTO t FORMAT Native\n\n\x00", "INSERT INTO t", "Native", "\n\x00"),
        ("INSERT INTO `values`.t(`format`)FORMAT X", "INSERT INTO `values`.t(`format`)", "X", ""),
        ("INSERT INTO format FORMAT CSV\n1", "INSERT INTO format", "CSV", "1"),
        ("/* x */ INSERT INTO t FORMAT CSV\r\n1", "/* x */ INSERT INTO t", "CSV", "1"),
        ("INSERT INTO t FORMAT CSV", "INSERT INTO t", "CSV", ""),
    ],
)
def test_heads_of_inserts_with_data(sql: str, head: str, name: str, data: str) -> None:
    assert find_insert_head(sql) == InsertHead(head, "", name, len(sql) - len(data))


def test_a_head_with_settings() -> None:
    sql = "INSERT INTO t SETTINGS async_insert = 0, x = 'FORMAT' FORMAT CSV\n1"
    settings = "SETTINGS async_insert = 0, x = 'FORMAT'"
    assert find_insert_head(sql) == InsertHead("INSERT INTO t", settings, "CSV", len(sql) - 1)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FORMAT Native",
        "INSERT INTO t SELECT 1 FORMAT Native",
        "INSERT INTO t WITH 1 AS x SELECT x",
        "INSERT INTO t VALUES (1, 'FORMAT CSV')",
        "INSERT INTO t (a) FROM INFILE 'x' FORMAT CSV",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t (a)",
        "CREATE TABLE t (a UInt8)",
        "",
    ],
)
def test_everything_else_is_a_whole_statement(sql: str) -> None:
    assert find_insert_head(sql) is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", None),
        ("SELECT 1\n FORMAT Native", "Native"),
        ("SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        ("SELECT 1 FORMAT CSV;", "CSV"),
        ("SELECT 'FORMAT Native'", None),
        ("SELECT 1 AS format FROM t", None),
        ("SELECT (SELECT 1 FORMAT Native)", None),
        ("SELECT format FROM t FORMAT TSV -- done", "TSV"),
    ],
)
def test_the_format_at_the_end(sql: str, expected: str | None) -> None:
    assert find_format(sql) == expected


@pytest.mark.parametrize(
    ("sql", "word", "reads"),
    [
        ("  -- x\n select 1", "SELECT", True),
        ("((SELECT 1))", "SELECT", True),
        ("WITH 1 AS x SELECT x", "WITH", True),
        ("WITH 1 AS x INSERT INTO t SELECT x", "WITH", False),
        ("DROP TABLE t", "DROP", False),
        ("EXPLAIN SELECT 1", "EXPLAIN", True),
        ("", "", False),
    ],
)
def test_what_only_reads(sql: str, word: str, reads: bool) -> None:
    assert first_word(sql) == word
    assert is_read(sql) is reads


@given(st.text(alphabet="'\"`;-/*$ \n\\aFORMAT(),INSERTé\x00", max_size=60))
def test_no_text_breaks_the_tokenizer(sql: str) -> None:
    found = list(tokens(sql))
    assert all(sql[token.start : token.end] == token.text for token in found)
    assert [token.start for token in found] == sorted(token.start for token in found)
    split_statements(sql)
    find_insert_head(sql)
    find_format(sql)


@given(st.lists(st.sampled_from(["SELECT 1", "SELECT ';'", "DROP TABLE `a;b`"]), max_size=6))
def test_joining_and_splitting_is_the_identity(statements: list[str]) -> None:
    assert split_statements(";\n-- next;\n".join(statements)) == statements
