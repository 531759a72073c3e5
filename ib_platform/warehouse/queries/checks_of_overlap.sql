-- Whether two pods that streamed one contract at the same time showed the same touch.
--
-- Grain:   one row per contract that two runs streamed in the same second.
-- Inputs:  states.sql.
-- How:     by second: the touches of each run in it, with the one carried into it. Frames are
--          conflated, each stream by itself, so one touch that both have shown is agreement.
-- Params:  those of states.sql, conids Array(UInt64): those to look at.
WITH touches AS
(
    SELECT
        conid, intDiv(at, 1000000000) AS second, paper_user,
        groupUniqArrayArray([touch, if(number = 1, touch, previous)]) AS touches
    FROM
    (
        SELECT
            conid, paper_user, trade_date,
            toUnixTimestamp64Nano(received_at) AS at,
            (best_bid, best_ask) AS touch,
            lagInFrame(touch) OVER before AS previous,
            row_number() OVER before AS number
        FROM (/* include states.sql */)
        WHERE has({conids:Array(UInt64)}, conid)
        WINDOW before AS (
            PARTITION BY conid, run_id ORDER BY seq ROWS UNBOUNDED PRECEDING
        )
    )
    WHERE trade_date = {trade_date:Date}
    GROUP BY conid, second, paper_user
)
SELECT
    conid,
    count() AS seconds_compared,
    countIf(agree) AS seconds_agreeing
FROM
(
    SELECT conid, second, length(arrayReduce('groupArrayIntersect', groupArray(touches))) > 0 AS agree
    FROM touches
    GROUP BY conid, second
    HAVING count() > 1
)
GROUP BY conid
ORDER BY conid
