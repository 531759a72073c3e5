-- What the report counts per contract, beside its daily bar.
--
-- Grain:   one row per conid with ladder frames on the date, decodable or not.
-- Inputs:  ladder_frames, frames.
-- Params:  trade_date Date.
SELECT conid, sum(ladder) AS ladder_frames, sum(orphan) AS orphans, sum(broken) AS undecodable,
       argMax(paper_user, at) AS paper_user,
       -- Values that a frame with a window must have.
       sum(required) AS cells, sum(unknown) AS null_cells
FROM
(
    SELECT conid, paper_user, received_at AS at, 1 AS ladder, role = 'orphan' AS orphan, 0 AS broken,
           if(window > 0, 2, 0) AS required,
           if(window > 0, isNull(top_price) + isNull(tick), 0) AS unknown
    FROM ladder_frames FINAL
    WHERE trade_date = {trade_date:Date}
    UNION ALL
    SELECT assumeNotNull(conid), paper_user, received_at, 0, 0, 1, 0, 0
    FROM frames FINAL
    WHERE trade_date = {trade_date:Date} AND topic = 'sbd'
      AND decode_error IS NOT NULL AND conid IS NOT NULL
)
GROUP BY conid
ORDER BY conid
