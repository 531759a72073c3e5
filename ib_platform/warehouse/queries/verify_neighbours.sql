-- The stored frames of one run that stand next to a range of its numbers, or of time.
--
-- Grain:   at most two rows: the nearest one before and the nearest one behind.
-- Inputs:  frames of all dates; read in the order of the key, so only the nearest rows are read.
-- Params:  paper_user String, run_id String; before_seq UInt64, before_ns Int64: both exclusive;
--          after_seq Int64 exclusive, after_ns Int64 inclusive.
(
    SELECT 'before' AS side, seq, toUnixTimestamp64Nano(received_at) AS at
    FROM frames
    WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
      AND seq < {before_seq:UInt64}
      AND toUnixTimestamp64Nano(received_at) < {before_ns:Int64}
    ORDER BY paper_user DESC, run_id DESC, seq DESC
    LIMIT 1
)
UNION ALL
(
    SELECT 'after' AS side, seq, toUnixTimestamp64Nano(received_at) AS at
    FROM frames
    WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
      AND seq > {after_seq:Int64}
      AND toUnixTimestamp64Nano(received_at) >= {after_ns:Int64}
    ORDER BY paper_user, run_id, seq
    LIMIT 1
)
