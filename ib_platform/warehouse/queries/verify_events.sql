-- Events that tell how many frames a run received, lost, and where its numbers end.
--
-- Grain:   one row per event.
-- Inputs:  stream_events of all dates: a run may have started long before the span, and a run that
--          died is told of by a later one. A handful of rows per run.
-- Order:   by time, then as written.
-- Params:  paper_users Array(String), empty: all.
SELECT toUnixTimestamp64Nano(at) AS at, paper_user, run_id, kind, cause, after_seq, detail
FROM stream_events FINAL
WHERE kind IN ('run_started', 'run_stopped', 'run_recovered', 'frames_lost', 'spool_torn',
               'batch_refused', 'batch_resent')
  AND (empty({paper_users:Array(String)}) OR has({paper_users:Array(String)}, paper_user))
ORDER BY stream_events.at, run_id, event_no
