-- One row per contract, trade date and check of the quality report: all 33, also what was not measured.
CREATE TABLE quality_checks
(
    trade_date     Date,
    contract       LowCardinality(String) COMMENT 'Contract key',
    conid          Nullable(UInt64),
    code           LowCardinality(String) COMMENT 'Q01 to Q33, see docs/quality.md',
    name           LowCardinality(String) COMMENT 'Name of the check',
    value          Nullable(Float64) COMMENT 'What was measured; NULL: unknown, or nothing to measure',
    unit           LowCardinality(String) COMMENT 'Unit of value',
    warn           LowCardinality(Nullable(String)) COMMENT 'A value that warns, like < 0.995; NULL: none does',
    fail           LowCardinality(Nullable(String)) COMMENT 'A value that fails; NULL: none does',
    verdict        Enum8('pass' = 1, 'warn' = 2, 'fail' = 3, 'report' = 4, 'not_applicable' = 5, 'unknown' = 6) COMMENT 'report: a count that nobody judges; unknown: it could not be measured',
    explanation    String COMMENT 'One sentence with the figures',
    figures        Map(String, Float64) COMMENT 'The figures by name, those in the explanation and some more',
    source         LowCardinality(Nullable(String)) COMMENT 'FrameSource: ibkr, simulated, replayed; mixed: several. NULL: no run of the date says it',
    preliminary    Bool COMMENT 'The trade date was still open',
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (contract, code);
