-- Sums of bars of one second: parts as they are.
--
-- Grain:   one row per (conid, second) in which at least one book state exists.
-- Inputs:  parts.sql, hence ladder_frames; the spells of the same build.
-- Repeat:  a pure function of its inputs.
-- Params:  those of parts.sql; part UInt32 (must be 1).
SELECT
    * EXCEPT (part_no, any_crossed_before),
    1 AS size,
    part_no * 1000000000 AS bar_begin,
    (part_no + 1) * 1000000000 AS bar_end,
    any_suspect OR any_crossed_before AS any_suspect_state
FROM (/* include parts.sql */)
