-- Silences: successive ladder frames of one epoch that lie far apart.
--
-- Grain:   one row per pair of neighbours further apart than `threshold_ns` that touches the date.
-- Inputs:  ladder_frames.
-- Order:   by seq inside (conid, run_id, epoch).
-- Params:  trade_date Date, read_from Date, date_begin DateTime64(9), threshold_ns Int64.
SELECT conid, run_id, epoch, previous_at AS begin, at AS end
FROM
(
    SELECT
        conid, run_id, epoch,
        toUnixTimestamp64Nano(received_at) AS at,
        lagInFrame(at, 1, at) OVER (
            PARTITION BY conid, run_id, epoch ORDER BY seq
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS previous_at
    FROM ladder_frames
    WHERE window > 0 AND trade_date BETWEEN {read_from:Date} AND {trade_date:Date}
)
WHERE at - previous_at > {threshold_ns:Int64}
  AND at > toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')})
ORDER BY conid, run_id, begin
