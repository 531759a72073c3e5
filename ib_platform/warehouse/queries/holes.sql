-- Holes: successive stored frames of a run between which numbers are missing.
--
-- Grain:   one row per pair of neighbours whose seq differ by more than one.
-- Inputs:  frames of the named runs only: a hole is looked for where the record tells of damage.
-- Order:   by seq inside a run. `elapsed`: how long it was by the monotonic clock, ns.
-- Params:  read_from Date, read_to Date, run_ids Array(String).
SELECT
    run_id, previous_seq, seq,
    previous_at AS begin,
    at AS end,
    monotonic - previous_monotonic AS elapsed
FROM
(
    SELECT
        run_id, seq,
        toUnixTimestamp64Nano(received_at) AS at,
        lagInFrame(seq, 1, seq) OVER before AS previous_seq,
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
WHERE seq > previous_seq + 1
ORDER BY run_id, begin
