-- Cuts: where no book state of a contract holds on, whatever came next.
--
-- Grain:   one row per contract and instant at which a gap of it begins or its market's phase changes.
-- Inputs:  the gaps and phases of the same build.
-- How:     a state up to and including `cut_behind` ends at `cut_at` at the latest: a state on a gap's
--          begin is the last one before it, one on a phase's begin is of that phase. So the first
--          row with `cut_behind` at or after a state tells both where it is cut and, by `phase`, in
--          which phase it lies. `phase` is empty before the first phase of the contract.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, gaps and phases Identifier.
SELECT
    cut_conid, cut_behind, cut_at,
    ifNull(
        anyLast(ended) OVER (
            PARTITION BY cut_conid ORDER BY cut_behind DESC ROWS UNBOUNDED PRECEDING
        ),
        ''
    ) AS phase
FROM
(
    -- Two keys of one contract have the same cuts.
    SELECT cut_conid, cut_behind, min(cut_at) AS cut_at, max(ended_phase) AS ended
    FROM
    (
        SELECT
            assumeNotNull(conid) AS cut_conid,
            toUnixTimestamp64Nano(begin) AS cut_behind,
            cut_behind AS cut_at,
            CAST(NULL, 'Nullable(String)') AS ended_phase
        FROM {gaps:Identifier}
        WHERE trade_date = {trade_date:Date} AND conid IS NOT NULL
        UNION ALL
        SELECT assumeNotNull(conid), edge.1 - 1, edge.1, edge.2
        FROM {phases:Identifier}
        ARRAY JOIN [
            (toUnixTimestamp64Nano(begin), ''), (toUnixTimestamp64Nano(end), toString(phase))
        ] AS edge
        WHERE trade_date = {trade_date:Date} AND conid IS NOT NULL
    )
    GROUP BY cut_conid, cut_behind
)
