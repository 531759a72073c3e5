-- The first window that each ladder of a run laid at or after an instant.
--
-- Grain:   one row per conid that laid a window then.
-- Inputs:  ladder_frames.
-- Params:  read_from Date, read_to Date, run_id String, instant Int64 (ns since 1970).
SELECT conid, min(toUnixTimestamp64Nano(received_at)) AS laid_at
FROM ladder_frames
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
  AND run_id = {run_id:String} AND role IN ('full', 'repriced')
  AND toUnixTimestamp64Nano(received_at) >= {instant:Int64}
GROUP BY conid
ORDER BY conid
