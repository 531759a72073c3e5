-- The rows of states.sql before the trade date's border, as table `depth` would hold them,
-- but for how long they were in force.
--
-- Grain:   one row per ladder frame of the last window of each run before the border.
-- Inputs:  states.sql, hence ladder_frames.
-- Repeat:  the same frames give the same rows, `built_at` aside.
-- Params:  trade_date Date, read_from Date, own_rows Bool (must be false), inputs_version String,
--          built_at DateTime64(3).
SELECT
    *,
    NULL AS in_force_ns,
    NULL AS phase,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM (/* include states.sql */)
WHERE trade_date < {trade_date:Date}
