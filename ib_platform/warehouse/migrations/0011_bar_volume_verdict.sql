-- One row per contract, bar size and start, where at least one book state exists in it.
ALTER TABLE bars
    ADD COLUMN volume Nullable(Int64) COMMENT 'Contracts traded, by differences of the cumulative volume that quotes stream (field 7762, table quote_frames), never by adding sizes. A difference between two readings belongs to the bar of the later one if the quotes were followed between (one run, at most limits.silent_after apart, no gap); else, like over a gap or from one run to the next, only to a bar in which both lie, so the bars of a date may add up to less than a longer one. Where the volume falls it begins again, and nothing is counted. One run is read at a time. NULL where volume_seconds is 0' CODEC(ZSTD(1)),
    ADD COLUMN volume_seconds Float64 COMMENT 'Time that volume is over, in seconds: the part of the bar between its readings, and between them and those around it where the quotes were followed' CODEC(ZSTD(1)),
    ADD COLUMN verdict LowCardinality(Nullable(String)) COMMENT 'Verdict of the trade date for the contract, as quality_report.verdict of the same build (of several keys of one contract the worst): available, degraded, missing; pending while the date is open. NULL in bars older than this column' CODEC(ZSTD(1)),
    COMMENT COLUMN suspect_states 'States that are suspect, or crossed while the market is open (phase open), or that lie in a suspect window of their run. In the pre-open a crossed ladder is no fault',
    COMMENT COLUMN suspect 'Some state, as in suspect_states, or a suspect window must not be trusted',
    COMMENT COLUMN realised_variance 'Sum of squared log returns of 1-minute mids, without unit, on 1h and 1d; NULL on other sizes and without a return. The mid of a minute is its last one that is positive, not crossed and not suspect; a return spans minutes without one, if the contract was covered all the time and no suspect window lies between. A return belongs to the bar of its later minute, so the hours of a date add up to its day';

-- One row per ladder frame that belongs to a window: the book after it.
ALTER TABLE depth
    ADD COLUMN in_force_ns Nullable(Int64) COMMENT 'How long this was the book, in nanoseconds: until the next state of the run and epoch, the last one of an epoch until the end of its spell; cut where a gap of the contract begins or the phase of its market changes, and at the end of the trade date. NULL: it came after the last build of an open date, the clock was set back after it, or the row is older than this column' CODEC(ZSTD(1)),
    ADD COLUMN phase LowCardinality(Nullable(String)) COMMENT 'Phase of the market at received_at, by the calendar of the contract (table phases, docs/calendars.md). NULL: no build has looked at the date yet, or the row is older than this column' CODEC(ZSTD(1));

-- As before, with all columns that bars has now.
CREATE OR REPLACE VIEW continuous_bars AS
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
