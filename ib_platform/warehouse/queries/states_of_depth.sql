-- The rows of states.sql for a date whose depth has just been built: read instead of built again.
--
-- Grain:   as states.sql, with two columns more.
-- Inputs:  the answers of depth.sql and of earlier.sql in the same build, staged.
-- Repeat:  both are answers of states.sql, so the rows are the same.
-- Params:  depth and earlier Identifier.
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, tick, sizes,
    best_bid, best_ask, bid_size, ask_size, last_price, last_size, two_sided, crossed, locked, complete, suspect,
    in_force_ns, phase
FROM {depth:Identifier}
UNION ALL
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, tick, sizes,
    best_bid, best_ask, bid_size, ask_size, last_price, last_size, two_sided, crossed, locked, complete, suspect,
    in_force_ns, phase
FROM {earlier:Identifier}
