-- Depth of a trade date: what table `depth` holds.
--
-- Grain:   one row per ladder frame of the date that belongs to a window.
-- Inputs:  states.sql, hence ladder_frames; the spells, gaps and phases of the same build, or for
--          a reader those of the last one.
-- Order:   what follows a state is decided by seq inside (conid, run_id).
-- How:     a state is in force as in bar_states.sql: until the next one of its run and epoch, the
--          last one of an epoch until the end of its spell, and none longer than cuts.sql says. Unknown
--          behind the end of its spell: of what came after the last build no gap is known.
-- Repeat:  the same inputs give the same rows, `built_at` aside.
-- Params:  trade_date Date, read_from Date, own_rows Bool, spells, gaps and phases Identifier,
--          inputs_version String, built_at DateTime64(3).
WITH
    ends AS
    (
        SELECT conid, run_id, epoch, toUnixTimestamp64Nano(end) AS spell_end
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ),
    cuts AS (/* include cuts.sql */)
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, role, top_price, tick,
    sizes, best_bid, best_ask, bid_size, ask_size, last_price, last_size, two_sided, crossed, locked,
    complete, suspect,
    -- A reader may see states that came after the last build.
    if(
        at <= spell_end,
        greatest(
            0,
            least(
                if(followed, next_at, spell_end), if(cut_at > 0, cut_at, 9223372036854775807)
            ) - at
        ),
        NULL
    ) AS in_force_ns,
    nullIf(cuts.phase, '') AS phase,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM
(
    SELECT
        *,
        toUnixTimestamp64Nano(received_at) AS at,
        leadInFrame(at) OVER around AS next_at,
        leadInFrame(epoch) OVER around = epoch AS followed
    FROM (/* include states.sql */)
    WHERE trade_date = {trade_date:Date}
    WINDOW around AS (
        PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
    )
) AS states
LEFT JOIN ends USING (conid, run_id, epoch)
ASOF LEFT JOIN cuts ON states.conid = cut_conid AND at <= cut_behind
