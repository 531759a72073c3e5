-- Whether the bars of a build agree with each other and with the record.
--
-- Grain:   one row per contract with bars.
-- Inputs:  the bars of the same build; ladder_frames for the states that they must count.
-- Params:  trade_date Date, bars Identifier.
SELECT
    conid,
    sum(wrong) AS wrong,
    countIf(counted != recorded) AS sizes_that_differ,
    any(recorded) AS recorded_states,
    sum(bars_of_size) AS bars
FROM
(
    SELECT
        conid, bar_size,
        count() AS bars_of_size,
        countIf(
            mid_low > least(mid_open, mid_close) OR mid_high < greatest(mid_open, mid_close)
            OR states + one_sided_states + empty_states != bars.frames OR bar_end <= bar_start
        ) AS wrong,
        sum(bars.frames) AS counted
    FROM {bars:Identifier} AS bars
    WHERE trade_date = {trade_date:Date}
    GROUP BY conid, bar_size
) AS sizes
LEFT JOIN
(
    SELECT conid, uniqExact(run_id, seq) AS recorded
    FROM ladder_frames
    WHERE trade_date = {trade_date:Date} AND window > 0
    GROUP BY conid
) AS record USING (conid)
GROUP BY conid
ORDER BY conid
