-- Stream events around a trade date that explain gaps and suspect windows.
--
-- Grain:   one row per event.
-- Inputs:  stream_events; frames, for the runs around the date: what a later run tells of them counts
--          however late it came, since a spool may wait for days until it is loaded.
-- Params:  read_from Date, read_to Date.
SELECT
    trade_date, toUnixTimestamp64Nano(at) AS at, paper_user, run_id, event_no, kind, cause, conid,
    after_seq, detail
FROM stream_events FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
   OR trade_date > {read_to:Date}
      AND kind IN ('run_recovered', 'spool_torn', 'batch_refused', 'batch_resent')
      -- A batch is named RUN.SEGMENT.BYTES.
      AND if(JSONHas(detail, 'run_id'),
             JSONExtractString(detail, 'run_id'),
             splitByChar('.', JSONExtractString(detail, 'batch'))[1])
          IN (SELECT run_id FROM frames
              WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date})
ORDER BY stream_events.at, run_id, event_no
