-- Holes: successive stored frames of a run between which numbers are missing.
--
-- Grain:   one row per pair of neighbours whose seq differ by more than one. A run whose first stored frame
--          is not its frame 0 has a hole before it, with previous_seq -1.
-- Inputs:  frames of the named runs only: a hole is looked for where the record tells of damage;
--          stream_events, for the beginning of a run: its first event, else the first stored frame.
-- Order:   by seq inside a run. `elapsed`: how long it was by the monotonic clock, ns; at the beginning
--          of a run by the wall clock, since events have no other.
-- Params:  read_from Date, read_to Date, run_ids Array(String).
WITH
    -- Their first frames may be stored on dates that are not looked at.
    older AS
    (
        SELECT DISTINCT run_id
        FROM frames
        WHERE trade_date < {read_from:Date} AND run_id IN {run_ids:Array(String)}
    ),
    begun AS
    (
        SELECT run_id AS begun_run, toUnixTimestamp64Nano(argMin(at, event_no)) AS begun_at
        FROM stream_events
        WHERE trade_date <= {read_to:Date} AND run_id IN {run_ids:Array(String)}
        GROUP BY begun_run
    ),
    numbered AS
    (
        SELECT
            run_id,
            toInt64(seq) AS number,
            toUnixTimestamp64Nano(received_at) AS at,
            lagInFrame(number, 1, -1) OVER before AS previous,
            lagInFrame(at, 1, at) OVER before AS previous_at,
            toInt64(monotonic_ns) AS monotonic,
            lagInFrame(monotonic, 1, monotonic) OVER before AS previous_monotonic
        FROM frames
        WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
          AND run_id IN {run_ids:Array(String)}
        WINDOW before AS (
            PARTITION BY run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        )
    )
SELECT
    run_id,
    previous AS previous_seq,
    number AS seq,
    multiIf(previous >= 0, previous_at, begun_run = '', at, least(begun_at, at)) AS begin,
    at AS end,
    if(previous >= 0, monotonic - previous_monotonic, end - begin) AS elapsed
FROM numbered
LEFT JOIN begun ON run_id = begun_run
WHERE number > previous + 1 AND (previous >= 0 OR run_id NOT IN older)
ORDER BY run_id, begin
