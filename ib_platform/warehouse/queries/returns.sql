-- Squared returns of the mid over minutes, added up to hours and the trade date.
--
-- Grain:   one row per (conid, size, bar_begin) with a bar of a minute in it; sizes of an hour and a
--          day.
-- Inputs:  the sums of bar_sums.sql of one minute, staged; the spells, gaps and suspect windows of the
--          same build.
-- How:     a minute's mid is that of its last sound state: two-sided, positive, not suspect. The
--          return is the logarithm of it over that of the minute before that has one. Minutes
--          without a sound state in between are no harm: the mid did not change, provided that the
--          contract was covered from the one state to the other, without a suspect window.
--          Otherwise there is no return. Squares are integers of 1e-18, so no order of adding can
--          change their sum.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, date_begin DateTime64(9), bar_sums, spells, gaps and suspects Identifier.
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    coverage AS (/* include coverage.sql */),
    doubtful AS
    (
        SELECT
            conid AS doubtful_conid, span_begin AS doubt_begin,
            max(span_end) OVER (PARTITION BY conid ORDER BY span_begin) AS doubt_end
        FROM (/* include spans.sql */)
        WHERE run_id != ''
    ),
    following AS
    (
        SELECT
            conid, bar_begin AS minute_begin,
            if(sound_states > 0, sound_twice, NULL) AS mid_twice,
            if(sound_states > 0, sound_at, NULL) AS mid_at,
            anyLast(mid_twice) OVER earlier AS earlier_twice,
            anyLast(mid_at) OVER earlier AS earlier_at,
            mid_twice IS NOT NULL AND earlier_twice IS NOT NULL AS has_two,
            ifNull(earlier_at, 0) AS return_begin,
            ifNull(mid_at, 0) AS return_end
        FROM {bar_sums:Identifier}
        WHERE size = 60
        WINDOW earlier AS (
            PARTITION BY conid ORDER BY bar_begin ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ),
    minutes AS
    (
        SELECT
            conid, minute_begin,
            (ends.reached + ends.covering * (return_end - ends.instant))
                - (begins.reached + begins.covering * (return_begin - begins.instant))
                AS covered_between,
            has_two AND covered_between = return_end - return_begin AND doubt_end <= return_begin
                AS returned,
            if(
                returned,
                toInt128(
                    round(1e18 * pow(log(assumeNotNull(mid_twice) / assumeNotNull(earlier_twice)), 2))
                ),
                0
            ) AS squared_return
        FROM following
        ASOF LEFT JOIN coverage AS begins
            ON following.conid = begins.covered_conid AND following.return_begin >= begins.instant
        ASOF LEFT JOIN coverage AS ends
            ON following.conid = ends.covered_conid AND following.return_end >= ends.instant
        ASOF LEFT JOIN doubtful
            ON following.conid = doubtful.doubtful_conid
            AND following.return_end >= doubtful.doubt_begin
    )
SELECT
    conid, size,
    if(
        size = 86400,
        begin_ns,
        greatest(begin_ns, intDiv(minute_begin, size * 1000000000) * size * 1000000000)
    ) AS bar_begin,
    countIf(returned) AS returns,
    sum(squared_return) AS squared_returns
FROM minutes
ARRAY JOIN [toInt64(3600), toInt64(86400)] AS size
GROUP BY conid, size, bar_begin
