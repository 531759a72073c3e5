-- Stream events around a trade date that explain gaps and suspect windows.
--
-- Grain:   one row per event.
-- Inputs:  stream_events.
-- Params:  read_from Date, read_to Date.
SELECT
    trade_date, toUnixTimestamp64Nano(at) AS at, paper_user, run_id, kind, cause, conid,
    after_seq, detail
FROM stream_events FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
ORDER BY stream_events.at, run_id, event_no
