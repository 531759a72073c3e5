-- Figures of the quality checks that quotes show.
--
-- Grain:   one row per contract with a quote on the date.
-- Inputs:  quote_frames; states.sql for what the ladder showed around each quote.
-- How:     only changed fields come, so bid and ask are carried forward inside a run. A quote agrees
--          where a ladder showed its bid and ask at some time in the second before or after it.
--          Ladders show no more than 8 touches in that time. Delayed quotes, and those beside a ladder
--          that was silent, are not compared.
-- Params:  those of states.sql, silent_ns Int64.
WITH
    quotes AS
    (
        SELECT
            conid, run_id, seq, updated_at,
            toUnixTimestamp64Nano(received_at) AS at,
            toUnixTimestamp64Milli(ifNull(updated_at, toDateTime64(0, 3, 'UTC'))) AS updated_ms,
            if(updated_at IS NULL, NULL, at / 1e9 - updated_ms / 1e3) AS delay,
            max(updated_ms) OVER earlier > updated_ms AND updated_at IS NOT NULL AS steps_back,
            anyLast(quote_frames.bid) OVER so_far AS bid,
            anyLast(quote_frames.ask) OVER so_far AS ask,
            startsWith(ifNull(anyLast(availability) OVER so_far, 'R'), 'R') AS real_time,
            (quote_frames.bid IS NOT NULL OR quote_frames.ask IS NOT NULL) AS has_touch
        FROM quote_frames FINAL
        WHERE trade_date = {trade_date:Date}
        WINDOW
            so_far AS (PARTITION BY conid, run_id ORDER BY seq ROWS UNBOUNDED PRECEDING),
            earlier AS (
                PARTITION BY conid, run_id ORDER BY seq
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
    ),
    -- When a touch began to be shown, and the last ones with the time until which they were.
    touches AS
    (
        SELECT
            conid, at AS shown_at,
            groupArray((best_bid, best_ask, shown_until)) OVER (
                PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN 8 PRECEDING AND CURRENT ROW
            ) AS shown
        FROM
        (
            SELECT
                conid, run_id, seq, best_bid, best_ask, at,
                if(ends, at, leadInFrame(at) OVER (
                    PARTITION BY conid, run_id ORDER BY seq
                    ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
                )) AS shown_until
            FROM
            (
                SELECT
                    conid, run_id, seq, best_bid, best_ask,
                    toUnixTimestamp64Nano(received_at) AS at,
                    at - lagInFrame(at) OVER around > {silent_ns:Int64} AS begins,
                    leadInFrame(at, 1, at + {silent_ns:Int64} + 1) OVER around - at
                        > {silent_ns:Int64} AS ends,
                    (best_bid, best_ask) != lagInFrame((best_bid, best_ask)) OVER around AS changes
                FROM (/* include states.sql */)
                WINDOW around AS (
                    PARTITION BY conid, run_id ORDER BY seq
                    ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
                )
            )
            WHERE begins OR ends OR ifNull(changes, true)
        )
    ),
    compared AS
    (
        SELECT
            asked.conid AS conid,
            arrayExists(
                one -> one.1 = bid AND one.2 = ask AND one.3 >= asked.at - 1000000000, shown
            ) AS agrees
        FROM
        (
            SELECT conid, at, at + 1000000000 AS latest, bid, ask
            FROM quotes
            WHERE has_touch AND real_time AND bid IS NOT NULL AND ask IS NOT NULL
        ) AS asked
        ASOF INNER JOIN touches
            ON asked.conid = touches.conid AND asked.latest >= touches.shown_at
        WHERE shown[-1].3 >= asked.at - 1000000000
    )
SELECT
    conid,
    count() AS quotes,
    countIf(updated_at IS NULL) AS without_time,
    countIf(quotes.steps_back) AS steps_back,
    countIf(delay < 0) AS early_quotes,
    arrayMap(
        one -> if(isNaN(one), NULL, one),
        quantilesExact(0.5, 0.9, 0.99, 0.999, 1)(delay)
    ) AS delays,
    any(compared_quotes) AS compared_quotes,
    any(agreeing_quotes) AS agreeing_quotes
FROM quotes
LEFT JOIN
(
    SELECT conid, count() AS compared_quotes, countIf(agrees) AS agreeing_quotes
    FROM compared GROUP BY conid
) AS agreement USING (conid)
GROUP BY conid
ORDER BY conid
