-- The rows of states.sql before the trade date's border, as table `depth` would hold them.
--
-- Grain:   one row per ladder frame of the last window of each run before the border.
-- Inputs:  states.sql, hence ladder_frames; the spells, gaps and phases of the same build.
-- How:     `in_force_ns` tells how long a state could hold without another in its epoch: until the
--          epoch before the next one ended, and no longer than cuts.sql says.
-- Repeat:  the same inputs give the same rows, `built_at` aside.
-- Params:  trade_date Date, read_from Date, own_rows Bool (must be false), spells, gaps and
--          phases Identifier, inputs_version String, built_at DateTime64(3).
WITH
    9223372036854775807 AS never,
    followers AS
    (
        SELECT
            conid AS next_conid, run_id AS next_run, epoch AS next_epoch,
            ifNull(toUnixTimestamp64Nano(previous_end), never) AS ended_at
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ),
    cuts AS (/* include cuts.sql */)
SELECT
    states.*,
    greatest(0, least(if(ended_at > 0, ended_at, never), if(cut_at > 0, cut_at, never)) - at)
        AS in_force_ns,
    nullIf(cuts.phase, '') AS phase,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM
(
    SELECT *, toUnixTimestamp64Nano(received_at) AS at
    FROM (/* include states.sql */)
    WHERE trade_date < {trade_date:Date}
) AS states
ASOF LEFT JOIN followers
    ON states.conid = next_conid AND states.run_id = next_run AND states.epoch < next_epoch
ASOF LEFT JOIN cuts ON states.conid = cut_conid AND states.at <= cut_behind
