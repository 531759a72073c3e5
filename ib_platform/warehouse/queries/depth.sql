-- Depth of a trade date: what table `depth` holds.
--
-- Grain:   one row per ladder frame of the date that belongs to a window.
-- Inputs:  states.sql, hence ladder_frames.
-- Repeat:  the same frames give the same rows, `built_at` aside.
-- Params:  trade_date Date, read_from Date, own_rows Bool, inputs_version String, built_at
--          DateTime64(3).
SELECT
    *,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM (/* include states.sql */)
WHERE trade_date = {trade_date:Date}
