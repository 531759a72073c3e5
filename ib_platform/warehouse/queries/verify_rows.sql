-- Stored frames of one run, to be compared with the records of a spool.
--
-- Grain:   one row per stored row, repeated ones included.
-- Inputs:  frames of a range of numbers.
-- Params:  paper_user String, run_id String, begin_seq UInt64, end_seq UInt64: both inclusive.
SELECT seq, toUnixTimestamp64Nano(received_at) AS at, monotonic_ns, connection,
       lower(hex(SHA256(payload))) AS digest
FROM frames
WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
  AND seq BETWEEN {begin_seq:UInt64} AND {end_seq:UInt64}
