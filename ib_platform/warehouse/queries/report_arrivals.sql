-- How long after the one before each ladder frame came.
--
-- Grain:   one row per conid that has two frames of one epoch on the trade date.
-- Inputs:  ladder_frames.
-- How:     by the streamer's wall clock, within a run and epoch, in order of seq. A time that a clock
--          turned back counts as 0. Bucket n holds 10^(n / 5) to 10^((n + 1) / 5) milliseconds; the
--          first one, 0, also everything shorter.
-- Repeat:  a pure function of ladder_frames.
-- Params:  trade_date Date.
SELECT
    conid,
    sumMap([bucket], [toUInt64(1)]) AS counts,
    quantileExact(0.5)(waited) AS median,
    quantileExact(0.99)(waited) AS p99,
    max(waited) AS longest
FROM
(
    SELECT
        conid,
        greatest(0, toUnixTimestamp64Nano(received_at) - before) / 1e9 AS waited,
        toInt32(greatest(0, floor(5 * log10(greatest(waited * 1000, 1))))) AS bucket
    FROM
    (
        SELECT
            conid, received_at,
            lagInFrame(toUnixTimestamp64Nano(received_at)) OVER stream AS before,
            lagInFrame(true) OVER stream AS follows
        FROM ladder_frames FINAL
        WHERE trade_date = {trade_date:Date} AND window > 0
        WINDOW stream AS (
            PARTITION BY conid, run_id, epoch ORDER BY seq
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        )
    )
    WHERE follows
)
GROUP BY conid
