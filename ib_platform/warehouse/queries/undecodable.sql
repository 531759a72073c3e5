-- Ladder frames of the date that could not be decoded, and the window that ended the doubt.
--
-- Grain:   one row per undecodable ladder frame of a known contract.
-- Inputs:  frames, ladder_frames (the next frame of the run and contract that lays a window).
-- Order:   by seq inside (conid, run_id).
-- Params:  trade_date Date.
SELECT
    broken.conid AS conid, paper_user, broken.run_id AS run_id, at AS begin,
    laid.laid_at AS end
FROM
(
    SELECT
        assumeNotNull(conid) AS conid, paper_user, run_id, seq,
        toUnixTimestamp64Nano(received_at) AS at
    FROM frames FINAL
    WHERE trade_date = {trade_date:Date} AND topic = 'sbd'
      AND decode_error IS NOT NULL AND conid IS NOT NULL
) AS broken
ASOF LEFT JOIN
(
    SELECT
        conid, run_id, seq AS laid_seq,
        toNullable(toUnixTimestamp64Nano(received_at)) AS laid_at
    FROM ladder_frames
    WHERE trade_date = {trade_date:Date} AND role IN ('full', 'repriced')
) AS laid
    ON broken.conid = laid.conid AND broken.run_id = laid.run_id AND broken.seq < laid.laid_seq
ORDER BY conid, run_id, begin
