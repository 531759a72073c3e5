-- The table in which a build keeps the answer of volumes.sql: read twice, made once. With its columns
-- written down, ClickHouse need not analyse that query a second time to find them.
--
-- Params:  work_table Identifier.
CREATE TABLE {work_table:Identifier}
(
    conid UInt64,
    at Int64,
    total Int64,
    known_length Int64,
    next_at Int64,
    next_followed Bool,
    next_change Int64,
    next_length Int64
)
ENGINE = MergeTree
ORDER BY tuple()
