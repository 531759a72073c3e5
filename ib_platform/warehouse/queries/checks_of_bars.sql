-- Whether the bars of a build agree with each other, and how many states they count.
--
-- Grain:   one row per contract with bars.
-- Inputs:  the bars of the same build.
-- Params:  trade_date Date, bars Identifier.
SELECT conid, sum(wrong) AS wrong, sum(bars_of_size) AS bars, groupArray(counted) AS states_by_size
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
)
GROUP BY conid
ORDER BY conid
