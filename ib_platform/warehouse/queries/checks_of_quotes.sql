-- Figures of the quality checks that quotes show.
--
-- Grain:   one row per contract with a quote on the date.
-- Inputs:  quote_frames; states.sql for what the ladder showed around each quote.
-- How:     only changed fields come, so bid and ask are carried forward inside a run. A quote agrees
--          where a state in the second before or after it, or the one carried into that time, has
--          its bid and ask. Delayed quotes are not compared.
-- Params:  those of states.sql.
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
    -- Touches by second, with the one carried into it.
    touches AS
    (
        SELECT conid, second, groupUniqArrayArray(shown) AS touches
        FROM
        (
            SELECT
                conid,
                intDiv(at, 1000000000) AS second,
                [(best_bid, best_ask), previous] AS shown
            FROM
            (
                SELECT
                    conid, best_bid, best_ask, toUnixTimestamp64Nano(received_at) AS at,
                    lagInFrame((best_bid, best_ask)) OVER (
                        PARTITION BY conid, run_id ORDER BY seq
                        ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
                    ) AS previous
                FROM (/* include states.sql */)
            )
        )
        GROUP BY conid, second
    ),
    compared AS
    (
        SELECT
            conid, seq, run_id, any(quoted) AS quoted, groupArrayArray(touches.touches) AS near
        FROM
        (
            SELECT
                conid, run_id, seq, (bid, ask) AS quoted,
                arrayJoin([-1, 0, 1]) + intDiv(at, 1000000000) AS second
            FROM quotes
            WHERE has_touch AND real_time AND bid IS NOT NULL AND ask IS NOT NULL
        ) AS asked
        INNER JOIN touches USING (conid, second)
        GROUP BY conid, run_id, seq
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
    SELECT conid, count() AS compared_quotes, countIf(has(near, quoted)) AS agreeing_quotes
    FROM compared GROUP BY conid
) AS agreement USING (conid)
GROUP BY conid
ORDER BY conid
