-- Ranges of numbers of one run that are not stored and touch a span in time, block by block.
--
-- Grain:   one row: the block of stored numbers from begin_seq (a stored one) on ends at `last_seq`;
--          `missing` numbers are not stored between them, the first {most} ranges are `holes`
--          (known, begin, end), those that begin at a number of `damaged` before all others.
-- Inputs:  frames, read in the order of the key; repeated rows count once. A block of {block} rows
--          is all that a call holds, whatever the length of the run.
-- Params:  paper_user String, run_id String, begin_seq UInt64, end_seq UInt64, begin_ns Int64,
--          end_ns Int64, damaged Array(UInt64), block UInt64, most UInt64.
SELECT
    max(seq) AS last_seq,
    sumIf(seq - previous_seq - 1, is_hole) AS missing,
    arraySlice(
        arraySort(groupArrayIf((is_new, previous_seq + 1, seq), is_hole)), 1, {most:UInt64}
    ) AS holes
FROM
(
    SELECT
        seq,
        lagInFrame(seq, 1, seq) OVER before AS previous_seq,
        lagInFrame(at, 1, at) OVER before AS previous_at,
        NOT has({damaged:Array(UInt64)}, previous_seq + 1) AS is_new,
        seq > previous_seq + 1 AND least(previous_at, at) < {end_ns:Int64}
            AND greatest(previous_at, at) >= {begin_ns:Int64} AS is_hole
    FROM
    (
        SELECT seq, toUnixTimestamp64Nano(received_at) AS at
        FROM frames
        WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
          AND seq >= {begin_seq:UInt64} AND seq <= {end_seq:UInt64}
        ORDER BY paper_user, run_id, seq
        LIMIT 1 BY seq
        LIMIT {block:UInt64}
    )
    WINDOW before AS (ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
