-- What is in the record now, to be compared with what a build used.
--
-- Grain:   one row per (trade_date, run_id, input) between read_from and read_to. Rows that a later
--          decoder made are an input of their own: it may change them without changing their number.
-- Inputs:  frames, ladder_frames, quote_frames, stream_events; FINAL, so that merges of duplicates
--          change nothing.
-- Params:  read_from Date, read_to Date.
SELECT trade_date, run_id, 'frames' AS input, count() AS rows, max(seq) AS highest_seq
FROM frames FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id
UNION ALL
SELECT
    trade_date,
    run_id,
    if(decoder_version = 1, 'ladder_frames', concat('ladder_frames/v', toString(decoder_version)))
        AS decoded,
    count(),
    max(seq)
FROM ladder_frames FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id, decoded
UNION ALL
-- Every quote is a frame above; the first decoder's need no counting.
SELECT trade_date, run_id, concat('quote_frames/v', toString(decoder_version)) AS decoded, count(), max(seq)
FROM quote_frames FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date} AND decoder_version != 1
GROUP BY trade_date, run_id, decoded
UNION ALL
SELECT trade_date, run_id, 'stream_events', count(), max(event_no)
FROM stream_events FINAL
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
GROUP BY trade_date, run_id
