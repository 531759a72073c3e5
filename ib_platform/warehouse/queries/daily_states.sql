-- What the daily bars count, for the report: told before the bars are made, since they carry its verdict.
--
-- Grain:   one row per contract with a book state on the trade date.
-- Inputs:  the sums of bar_sums.sql of one day, staged.
-- Repeat:  a pure function of its inputs.
-- Params:  bar_sums Identifier.
SELECT
    conid, states,
    frames - states - empty_states AS one_sided_states,
    empty_states, crossed_states, locked_states, warm_up_states,
    toFloat64(weights[13]) / 1e9 AS crossed_seconds,
    times[1] / 1e9 AS two_sided_seconds
FROM {bar_sums:Identifier}
WHERE size = 86400
