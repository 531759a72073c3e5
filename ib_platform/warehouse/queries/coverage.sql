-- Coverage: how long each contract was covered since the begin of the trade date, as a line that
-- bends at instants.
--
-- Grain:   one row per contract and instant at which a spell or a gap of it begins or ends.
-- Inputs:  the spells and gaps of the same build.
-- How:     a contract is covered while at least one of its spells lasts and no gap does. Until the
--          next instant, the nanoseconds covered at t are reached + covering * (t - instant).
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, spells and gaps Identifier.
SELECT
    conid AS covered_conid, instant, covering,
    sum(covering_before * (instant - instant_before)) OVER (
        PARTITION BY conid ORDER BY instant ROWS UNBOUNDED PRECEDING
    ) AS reached
FROM
(
    SELECT
        conid, instant, covering,
        lagInFrame(covering) OVER by_instant AS covering_before,
        lagInFrame(instant) OVER by_instant AS instant_before
    FROM
    (
        SELECT
            conid, instant,
            toInt64(
                sum(spells_begun) OVER so_far > 0 AND sum(gaps_begun) OVER so_far = 0
            ) AS covering
        FROM
        (
            SELECT
                conid, change.1 AS instant,
                sum(change.2) AS spells_begun, sum(change.3) AS gaps_begun
            FROM
            (
                SELECT
                    conid,
                    arrayJoin([
                        (toUnixTimestamp64Nano(begin), 1, 0), (toUnixTimestamp64Nano(end), -1, 0)
                    ]) AS change
                FROM {spells:Identifier}
                WHERE trade_date = {trade_date:Date}
                UNION ALL
                SELECT
                    assumeNotNull(conid) AS conid,
                    arrayJoin([
                        (toUnixTimestamp64Nano(begin), 0, 1), (toUnixTimestamp64Nano(end), 0, -1)
                    ]) AS change
                FROM {gaps:Identifier}
                WHERE trade_date = {trade_date:Date} AND conid IS NOT NULL
            )
            GROUP BY conid, instant
        )
        WINDOW so_far AS (PARTITION BY conid ORDER BY instant ROWS UNBOUNDED PRECEDING)
    )
    WINDOW by_instant AS (
        PARTITION BY conid ORDER BY instant ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    )
)
