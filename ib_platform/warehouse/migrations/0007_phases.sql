-- One row per contract and stretch of one market phase, by its calendar.
CREATE TABLE phases
(
    trade_date     Date,
    contract       LowCardinality(String),
    conid          Nullable(UInt64) COMMENT 'What the contract was resolved to, NULL = never',
    phase          Enum8('pre_open' = 1, 'open' = 2, 'maintenance' = 3, 'early_close' = 4, 'closed' = 5, 'holiday' = 6, 'halted' = 7) COMMENT 'docs/calendars.md',
    begin          DateTime64(9, 'UTC') COMMENT 'Of the first one: its own begin, which may lie before the trade date',
    end            DateTime64(9, 'UTC') COMMENT 'Of the last one: the end of the trade date at the latest',
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (contract, begin);
