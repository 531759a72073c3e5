-- One row per decision on when the continuous series of a product changes to a contract, and why.
-- Append-only: the newest decision on a contract counts, what it superseded stays.
CREATE TABLE rolls
(
    product           LowCardinality(String) COMMENT 'SYMBOL.EXCHANGE, like ES.CME',
    roll_date         Date COMMENT 'Trade date from whose start the new contract counts',
    from_conid        Nullable(UInt64) COMMENT 'The contract before; NULL: the series begins',
    from_contract     LowCardinality(Nullable(String)) COMMENT 'The same as SYMBOL.EXCHANGE.month, with the month of expiration',
    to_conid          UInt64 COMMENT 'The new contract',
    to_contract       LowCardinality(String) COMMENT 'The same as SYMBOL.EXCHANGE.month, with the month of expiration',
    rule              LowCardinality(String) COMMENT 'last_trade or volume, see docs/contracts.md',
    reason            String COMMENT 'Why on this date, for people',
    difference        Nullable(Decimal(18, 9)) COMMENT 'mid_close of the new contract minus that of the one before, in price units: of the last 1m bar before roll_date that both have, complete and without a crossed state, at most 7 days before. NULL: unknown',
    difference_at     Nullable(DateTime('UTC')) COMMENT 'bar_start of these two bars',
    difference_reason String COMMENT 'Why difference is NULL; empty where it is known',
    withdrawn         Bool COMMENT 'The series does not change to this contract after all',
    decided_by        LowCardinality(String) COMMENT 'What wrote the row',
    decided_at        DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (product, to_conid, decided_at)
SETTINGS non_replicated_deduplication_window = 1000;

-- One row per contract of a product's continuous series: the decisions of `rolls` that count now.
CREATE VIEW current_rolls AS
SELECT * EXCEPT withdrawn
FROM
(
    SELECT *
    FROM rolls
    ORDER BY decided_at DESC, decided_by
    LIMIT 1 BY product, to_conid
)
WHERE NOT withdrawn;

-- One row per bar of the contract that a product's continuous series means on the bar's trade date: all columns of `bars`, unadjusted, and these.
CREATE VIEW continuous_bars AS
SELECT
    spans.product AS product,
    spans.contract AS contract,
    b.*,
    spans.adjustment AS adjustment,
    CAST(b.mid_open + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_mid_open,
    CAST(b.mid_high + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_mid_high,
    CAST(b.mid_low + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_mid_low,
    CAST(b.mid_close + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_mid_close,
    CAST(b.bid_close + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_bid_close,
    CAST(b.ask_close + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_ask_close,
    b.microprice_close + toFloat64(spans.adjustment) AS back_adjusted_microprice_close,
    CAST(b.last_trade_open + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_last_trade_open,
    CAST(b.last_trade_high + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_last_trade_high,
    CAST(b.last_trade_low + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_last_trade_low,
    CAST(b.last_trade_close + spans.adjustment, 'Nullable(Decimal(18, 9))') AS back_adjusted_last_trade_close
FROM bars AS b
INNER JOIN
(
    SELECT
        product,
        to_contract AS contract,
        to_conid AS conid,
        roll_date AS begins_on,
        leadInFrame(roll_date, 1, toDate('2149-06-06')) OVER whole AS ends_before,
        -- A difference that is unknown on the way makes the adjustment unknown.
        if(
            countIf(difference IS NULL) OVER later > 0,
            NULL,
            CAST(sum(ifNull(difference, 0)) OVER later, 'Nullable(Decimal(18, 9))')
        ) AS adjustment
    FROM current_rolls
    WINDOW
        whole AS (PARTITION BY product ORDER BY roll_date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
        later AS (PARTITION BY product ORDER BY roll_date ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
) AS spans ON b.conid = spans.conid
WHERE b.trade_date >= spans.begins_on AND b.trade_date < spans.ends_before;

ALTER TABLE continuous_bars
    COMMENT COLUMN product 'SYMBOL.EXCHANGE, like ES.CME',
    COMMENT COLUMN contract 'The contract of the bar, as SYMBOL.EXCHANGE.month with the month of expiration',
    COMMENT COLUMN adjustment 'Sum of `rolls.difference` over the rolls after this contract, in price units; 0 for the newest contract. NULL where one of them is unknown: then all back_adjusted columns are NULL too',
    COMMENT COLUMN back_adjusted_mid_open 'mid_open + adjustment',
    COMMENT COLUMN back_adjusted_mid_high 'mid_high + adjustment',
    COMMENT COLUMN back_adjusted_mid_low 'mid_low + adjustment',
    COMMENT COLUMN back_adjusted_mid_close 'mid_close + adjustment',
    COMMENT COLUMN back_adjusted_bid_close 'bid_close + adjustment',
    COMMENT COLUMN back_adjusted_ask_close 'ask_close + adjustment',
    COMMENT COLUMN back_adjusted_microprice_close 'microprice_close + adjustment',
    COMMENT COLUMN back_adjusted_last_trade_open 'last_trade_open + adjustment',
    COMMENT COLUMN back_adjusted_last_trade_high 'last_trade_high + adjustment',
    COMMENT COLUMN back_adjusted_last_trade_low 'last_trade_low + adjustment',
    COMMENT COLUMN back_adjusted_last_trade_close 'last_trade_close + adjustment';
