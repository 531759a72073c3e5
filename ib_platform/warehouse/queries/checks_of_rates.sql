-- How many ladder frames came per minute in which any came, on the date and on dates before it.
--
-- Grain:   one row per contract and trade date.
-- Inputs:  ladder_frames of the date and the 28 days before it. A key lies in one partition, so that
--          FINAL has nothing to merge across them.
-- Params:  trade_date Date, conids Array(UInt64).
SELECT conid, trade_date, count() / uniqExact(intDiv(toUnixTimestamp64Nano(received_at), 60000000000)) AS rate
FROM ladder_frames FINAL
WHERE trade_date BETWEEN {trade_date:Date} - 28 AND {trade_date:Date}
  AND has({conids:Array(UInt64)}, conid)
GROUP BY conid, trade_date
ORDER BY conid, trade_date
SETTINGS do_not_merge_across_partitions_select_final = 1
