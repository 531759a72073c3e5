-- What the report counts per contract, beside its daily bar.
--
-- Grain:   one row per conid with ladder frames on the date, decodable or not.
-- Inputs:  ladder_frames, frames.
-- Params:  trade_date Date.
SELECT conid, sum(ladder) AS ladder_frames, sum(orphan) AS orphans, sum(broken) AS undecodable,
       argMax(paper_user, at) AS paper_user
FROM
(
    SELECT conid, paper_user, received_at AS at, 1 AS ladder, role = 'orphan' AS orphan, 0 AS broken
    FROM ladder_frames FINAL
    WHERE trade_date = {trade_date:Date}
    UNION ALL
    SELECT assumeNotNull(conid), paper_user, received_at, 0, 0, 1
    FROM frames FINAL
    WHERE trade_date = {trade_date:Date} AND topic = 'sbd'
      AND decode_error IS NOT NULL AND conid IS NOT NULL
)
GROUP BY conid
ORDER BY conid
