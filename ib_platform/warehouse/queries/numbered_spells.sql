-- Spells of a build with the numbers of their ladder frames.
--
-- Grain:   one row per row of `spells`.
-- Inputs:  the build's spells, ladder_frames.
-- Order:   by conid, run and epoch; columns are those of `evidence.Spell`.
-- Params:  spells Identifier, trade_date Date, read_from Date.
SELECT
    conid, paper_user, run_id, epoch,
    toUnixTimestamp64Nano(begin) AS begin,
    toUnixTimestamp64Nano(end) AS end,
    toUnixTimestamp64Nano(last_frame_at) AS last_frame_at,
    ended_by, cause, first_seq, last_seq,
    toUnixTimestamp64Nano(first) AS first_at
FROM {spells:Identifier} AS spells
INNER JOIN
(
    SELECT conid, run_id, epoch, min(seq) AS first_seq, max(seq) AS last_seq,
        argMin(received_at, seq) AS first
    FROM ladder_frames
    WHERE window > 0 AND trade_date BETWEEN {read_from:Date} AND {trade_date:Date}
    GROUP BY conid, run_id, epoch
) AS numbers USING (conid, run_id, epoch)
ORDER BY conid, run_id, epoch
