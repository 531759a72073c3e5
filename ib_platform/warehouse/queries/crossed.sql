-- Crossed states of the date and how long each lasted.
--
-- Grain:   one row per crossed state.
-- Inputs:  states.sql, hence ladder_frames; the spells of the same build end an epoch's last state.
-- Order:   by seq inside (conid, run_id).
-- Params:  trade_date Date, read_from Date, own_rows Bool, spells Identifier.
SELECT
    states.conid AS conid, states.paper_user AS paper_user, states.run_id AS run_id, begin,
    greatest(begin, if(followed, next_at, toUnixTimestamp64Nano(spells.end))) AS end
FROM
(
    SELECT
        *,
        toUnixTimestamp64Nano(received_at) AS begin,
        leadInFrame(begin) OVER around AS next_at,
        leadInFrame(toInt64(epoch)) OVER around = epoch AS followed
    FROM (/* include states.sql */)
    WINDOW around AS (
        PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
    )
) AS states
LEFT JOIN
(
    SELECT conid, run_id, epoch, end FROM {spells:Identifier} WHERE trade_date = {trade_date:Date}
) AS spells USING (conid, run_id, epoch)
WHERE trade_date = {trade_date:Date} AND crossed
ORDER BY conid, run_id, begin
