-- Sums of bars of one second or five: parts as they are.
--
-- Grain:   one row per (conid, span of `part` seconds) in which at least one book state exists.
-- Inputs:  parts.sql, hence ladder_frames; the spells of the same build.
-- Repeat:  a pure function of its inputs.
-- Params:  those of parts.sql; part UInt32 (1 or 5: no border of a trade date may cut it).
SELECT
    * EXCEPT (part_no, any_crossed_before),
    {part:UInt32} AS size,
    0 AS returns,
    toInt128(0) AS squared_returns,
    part_no * size * 1000000000 AS bar_begin,
    (part_no + 1) * size * 1000000000 AS bar_end,
    any_suspect OR any_crossed_before AS any_suspect_state
FROM (/* include parts.sql */)
