-- Events that tell which batches ClickHouse refused for their content, and which were sent again.
--
-- Grain:   one row per event.
-- Inputs:  stream_events of all dates: a spool may wait for days until it is loaded, and a batch in
--          the quarantine for longer. A handful of rows in all.
-- Order:   by time, then as written.
-- Params:  none.
SELECT toUnixTimestamp64Nano(at) AS at, paper_user, run_id, kind, detail
FROM stream_events FINAL
WHERE kind IN ('batch_refused', 'batch_resent')
ORDER BY stream_events.at, run_id, event_no
