-- Steps back of the wall clock that the frames of a run show themselves.
--
-- Grain:   one row per pair of neighbours between which the wall clock fell behind the monotonic one
--          by more than `least_ns`. `until_ns`: what the clock would have shown at the second one.
-- Inputs:  frames of the named runs only.
-- Order:   by seq inside a run.
-- Params:  read_from Date, read_to Date, run_ids Array(String), least_ns Int64.
SELECT
    run_id, previous_seq, seq AS before_seq, previous_at + monotonic - previous_monotonic AS until_ns, at AS since_ns
FROM
(
    SELECT
        run_id, seq,
        lagInFrame(seq, 1, seq) OVER before AS previous_seq,
        toUnixTimestamp64Nano(received_at) AS at,
        lagInFrame(at, 1, at) OVER before AS previous_at,
        toInt64(monotonic_ns) AS monotonic,
        lagInFrame(monotonic, 1, monotonic) OVER before AS previous_monotonic
    FROM frames
    WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
      AND has({run_ids:Array(String)}, run_id)
    WINDOW before AS (
        PARTITION BY run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    )
)
WHERE until_ns - since_ns > {least_ns:Int64}
ORDER BY run_id, before_seq
