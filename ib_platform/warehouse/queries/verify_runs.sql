-- Runs with stored frames in a span, each with its numbers as far as they are stored now.
--
-- Grain:   one row per streamer run with a frame in [begin_ns, end_ns).
-- Inputs:  frames, without FINAL: `rows` counts physical rows.
-- Order:   by time of the first frame.
-- Params:  read_from Date, read_to Date: trade dates of the span; begin_ns Int64, end_ns Int64;
--          paper_users Array(String), empty: all.
SELECT
    paper_user, run_id,
    count() AS rows,
    min(seq) AS first_seq, min(at) AS first_at,
    max(seq) AS last_seq, max(at) AS last_at
FROM (SELECT paper_user, run_id, seq, trade_date, toUnixTimestamp64Nano(received_at) AS at FROM frames)
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
  AND at >= {begin_ns:Int64} AND at < {end_ns:Int64}
  AND (empty({paper_users:Array(String)}) OR has({paper_users:Array(String)}, paper_user))
GROUP BY paper_user, run_id
ORDER BY first_at, run_id
