-- Distinct frames of one run in a span, and the bytes of their payloads.
--
-- Grain:   one row.
-- Inputs:  frames with FINAL, which merges in the order of the key: its memory does not grow with
--          the count. `last_seq` bounds a run that goes on to what verify_runs.sql saw.
-- Params:  paper_user String, run_id String, last_seq UInt64, read_from Date, read_to Date,
--          begin_ns Int64, end_ns Int64.
SELECT count() AS frames, sum(length(payload)) AS payload_bytes
FROM frames FINAL
WHERE paper_user = {paper_user:String} AND run_id = {run_id:String} AND seq <= {last_seq:UInt64}
  AND trade_date BETWEEN {read_from:Date} AND {read_to:Date}
  AND toUnixTimestamp64Nano(received_at) >= {begin_ns:Int64}
  AND toUnixTimestamp64Nano(received_at) < {end_ns:Int64}
