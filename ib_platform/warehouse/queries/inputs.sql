-- What is in the record now, to be compared with what a build used.
--
-- Grain:   one row per (trade_date, run_id, input) between read_from and read_to.
-- Inputs:  frames, stream_events; FINAL, so that merges of duplicates change nothing.
-- Params:  read_from Date, read_to Date.
SELECT trade_date, run_id, 'frames' AS input, count() AS rows, max(seq) AS highest_seq
FROM frames FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id
UNION ALL
SELECT trade_date, run_id, 'ladder_frames', count(), max(seq)
FROM ladder_frames FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id
UNION ALL
SELECT trade_date, run_id, 'stream_events', count(), max(event_no)
FROM stream_events FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id
