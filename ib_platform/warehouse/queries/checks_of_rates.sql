-- How many ladder frames came per minute in which any came, on the date and on dates before it.
--
-- Grain:   one row per contract and trade date.
-- Inputs:  ladder_frames of the date and the 28 days before it.
-- Params:  trade_date Date, conids Array(UInt64).
SELECT conid, trade_date, uniqExact(run_id, seq) / uniqExact(toStartOfMinute(received_at)) AS rate
FROM ladder_frames
WHERE trade_date BETWEEN {trade_date:Date} - 28 AND {trade_date:Date}
  AND has({conids:Array(UInt64)}, conid)
GROUP BY conid, trade_date
ORDER BY conid, trade_date
