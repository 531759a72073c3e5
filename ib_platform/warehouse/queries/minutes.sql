-- Parts of a minute with the squared return of their mid.
--
-- Grain:   one row per row of parts.sql.
-- Inputs:  parts.sql, hence ladder_frames; the spells, gaps and suspect windows of the same build.
-- How:     a minute's mid is that of its last sound state: two-sided, positive, not suspect. The
--          return is the logarithm of it over that of the minute before that has one. Minutes
--          without a sound state in between are no harm: the mid did not change, provided that the
--          contract was covered from the one state to the other, without a suspect window.
--          Otherwise there is no return. Squares are integers of 1e-18, so no order of adding can
--          change their sum.
-- Repeat:  a pure function of its inputs.
-- Params:  those of parts.sql; part UInt32 (must be 60).
WITH
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
            *,
            if(sound_states > 0, sound_twice, NULL) AS mid_twice,
            if(sound_states > 0, sound_at, NULL) AS mid_at,
            anyLast(mid_twice) OVER earlier AS earlier_twice,
            anyLast(mid_at) OVER earlier AS earlier_at,
            mid_twice IS NOT NULL AND earlier_twice IS NOT NULL AS has_two,
            ifNull(earlier_at, 0) AS return_begin,
            ifNull(mid_at, 0) AS return_end
        FROM (/* include parts.sql */)
        WINDOW earlier AS (
            PARTITION BY conid ORDER BY part_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    )
SELECT
    following.*,
    (ends.reached + ends.covering * (return_end - ends.instant))
        - (begins.reached + begins.covering * (return_begin - begins.instant)) AS covered_between,
    has_two AND covered_between = return_end - return_begin AND doubt_end <= return_begin
        AS returned,
    if(
        returned,
        toInt128(round(1e18 * pow(log(assumeNotNull(mid_twice) / assumeNotNull(earlier_twice)), 2))),
        0
    ) AS squared_return
FROM following
ASOF LEFT JOIN coverage AS begins
    ON following.conid = begins.covered_conid AND following.return_begin >= begins.instant
ASOF LEFT JOIN coverage AS ends
    ON following.conid = ends.covered_conid AND following.return_end >= ends.instant
ASOF LEFT JOIN doubtful
    ON following.conid = doubtful.doubtful_conid AND following.return_end >= doubtful.doubt_begin
