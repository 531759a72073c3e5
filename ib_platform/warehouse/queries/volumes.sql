-- Traded volume of each contract as a line that rises: what the quotes' cumulative volume (field 7762)
-- says, put together over the runs that streamed it.
--
-- Grain:   one row per contract and reading after which the line bends. A reading is a real-time
--          quote frame at which the run has shown a volume on the trade date: a frame without one
--          says that it is unchanged, since only changed fields come.
-- Inputs:  quote_frames, the gaps of the same build.
-- Order:   by seq inside (conid, run_id). Frames before which the clock of the run was set back are
--          left out until it has caught up. The run whose readings began first is read until they
--          end, then the next one that goes on after that: one source at a time.
-- How:     a step leads from a reading to the next. Where the volume falls, it began again: nothing
--          is known of that step. A step is followed if it stays in one run, takes no longer than
--          `silent_ns`, and no gap lies in it.
--          `total` and `known_length` are the volume and the length of all known steps so far; the
--          columns `next_...` tell of the step behind the reading. Between two rows the volume
--          stays and time is followed, or the step is not.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, gaps and suspects Identifier, silent_ns Int64.
WITH
    gap_spans AS
    (
        SELECT conid AS gap_conid, span_begin AS gap_begin, span_end AS gap_end
        FROM (/* include spans.sql */)
        WHERE run_id = ''
    ),
    readings AS
    (
        SELECT *, min(at) OVER (PARTITION BY conid, run_id) AS run_begin
        FROM
        (
            SELECT
                conid, run_id, seq,
                toUnixTimestamp64Nano(received_at) AS at,
                anyLast(quote_frames.volume) OVER so_far AS shown,
                startsWith(ifNull(anyLast(availability) OVER so_far, 'R'), 'R') AS real_time,
                max(at) OVER so_far AS latest
            FROM quote_frames FINAL
            WHERE trade_date = {trade_date:Date}
            WINDOW so_far AS (PARTITION BY conid, run_id ORDER BY seq ROWS UNBOUNDED PRECEDING)
        )
        WHERE shown IS NOT NULL AND real_time AND at >= latest
    ),
    chain AS
    (
        SELECT
            conid, run_id, run_begin, seq, at,
            assumeNotNull(shown) AS volume,
            lagInFrame(true) OVER before AS has_previous,
            lagInFrame(toString(run_id)) OVER before AS previous_run,
            lagInFrame(at) OVER before AS previous_at,
            lagInFrame(volume) OVER before AS previous_volume
        FROM
        (
            SELECT
                *,
                max(at) OVER (
                    PARTITION BY conid ORDER BY run_begin, run_id, seq ROWS UNBOUNDED PRECEDING
                ) AS reached
            FROM readings
        )
        WHERE at >= reached
        WINDOW before AS (
            PARTITION BY conid ORDER BY run_begin, run_id, seq
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        )
    ),
    steps AS
    (
        SELECT
            conid, run_begin, run_id, seq, at,
            has_previous AND volume >= previous_volume AS known,
            known AND run_id = previous_run AND at - previous_at <= {silent_ns:Int64}
                AND gap_end <= previous_at AS followed,
            if(known, volume - previous_volume, 0) AS change,
            if(known, at - previous_at, 0) AS length
        FROM chain
        ASOF LEFT JOIN gap_spans ON conid = gap_conid AND at > gap_begin
    )
SELECT conid, at, total, known_length, next_at, next_followed, next_change, next_length
FROM
(
    SELECT
        conid, at, followed, change,
        sum(change) OVER so_far AS total,
        sum(length) OVER so_far AS known_length,
        leadInFrame(at) OVER around AS next_at,
        leadInFrame(followed) OVER around AS next_followed,
        leadInFrame(change) OVER around AS next_change,
        leadInFrame(length) OVER around AS next_length
    FROM steps
    WINDOW
        so_far AS (PARTITION BY conid ORDER BY run_begin, run_id, seq ROWS UNBOUNDED PRECEDING),
        around AS (
            PARTITION BY conid ORDER BY run_begin, run_id, seq
            ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
        )
)
WHERE (change > 0 OR NOT followed OR NOT next_followed) AND next_at != at
