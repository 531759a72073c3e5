-- Streamer runs around a trade date, with the counts behind the spool balance.
--
-- Grain:   one row per streamer run that has frames between read_from and read_to.
-- Inputs:  frames, without FINAL: `rows` counts what is stored before merges collapse duplicates.
-- Order:   none needed, every column is an aggregate.
-- Params:  trade_date Date, read_from Date, read_to Date.
SELECT
    paper_user,
    run_id,
    toUnixTimestamp64Nano(argMin(received_at, seq)) AS first_at,
    toUnixTimestamp64Nano(argMax(received_at, seq)) AS last_at,
    min(seq) AS first_seq,
    max(seq) AS last_seq,
    -- How far the wall clock was ahead of the monotonic one.
    argMin(toUnixTimestamp64Nano(received_at) - toInt64(monotonic_ns), seq) AS first_offset,
    argMax(toUnixTimestamp64Nano(received_at) - toInt64(monotonic_ns), seq) AS last_offset,
    max(toUnixTimestamp64Nano(received_at) - toInt64(monotonic_ns)) AS highest_offset,
    min(toUnixTimestamp64Nano(received_at) - toInt64(monotonic_ns)) AS lowest_offset,
    countIf(trade_date = {trade_date:Date}) AS rows,
    uniqExactIf(seq, trade_date = {trade_date:Date}) AS stored,
    maxOrNullIf(seq, trade_date < {trade_date:Date}) AS highest_before,
    maxOrNullIf(seq, trade_date = {trade_date:Date}) AS highest,
    countIf(trade_date > {trade_date:Date}) > 0 AS goes_on
FROM frames
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY paper_user, run_id
ORDER BY first_at, run_id
