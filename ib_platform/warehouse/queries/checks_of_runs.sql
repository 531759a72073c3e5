-- What streamer runs said of themselves when they started.
--
-- Grain:   one row per named run that said where its frames come from.
-- Inputs:  stream_events of all dates: a run may live for weeks.
-- Params:  run_ids Array(String).
SELECT run_id, JSONExtractString(any(detail), 'source') AS source
FROM stream_events
WHERE kind = 'run_started' AND has({run_ids:Array(String)}, run_id) AND JSONHas(detail, 'source')
GROUP BY run_id
ORDER BY run_id
