-- The rows of states.sql for a date whose depth has just been built: read instead of built again.
--
-- Grain:   as states.sql.
-- Inputs:  the depth of the same build, states.sql for the rows before the border.
-- Repeat:  depth is the answer of states.sql, so both give the same rows.
-- Params:  trade_date Date, read_from Date, own_rows Bool (must be false), depth Identifier.
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, tick, sizes,
    best_bid, best_ask, bid_size, ask_size, last_price, last_size, two_sided, crossed, locked, complete, suspect
FROM {depth:Identifier}
WHERE trade_date = {trade_date:Date}
UNION ALL
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, tick, sizes,
    best_bid, best_ask, bid_size, ask_size, last_price, last_size, two_sided, crossed, locked, complete, suspect
FROM (/* include states.sql */)
WHERE trade_date < {trade_date:Date}
