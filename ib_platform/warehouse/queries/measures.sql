-- Measures of a book state: what bars average over states and over time, as integers.
--
-- Grain:   one row per row of states_of_depth.sql.
-- Inputs:  states_of_depth.sql, hence ladder_frames.
-- How:     a measure that is not known is 0 and its `..._known` says 0, so that sums over both give an
--          average over what is known. Prices are integers of a billionth, ratios too; a ratio is
--          rounded towards zero. No touch has the price 0 and the size 0. Depth over n prices counts
--          from the best bid down or the best ask up, empty prices included; over more than the touch
--          it is known once the window is complete, and as far as the window reaches.
--          `spread_bp` is in billionths of a basis point of the mid, known if both prices are
--          positive. `last_price` and `last_size` are the last trade that the window has shown.
-- Repeat:  a pure function of states_of_depth.sql.
-- Params:  those of states_of_depth.sql.
WITH
    1000000000 AS billion,
    numbers AS
    (
        SELECT
            trade_date, conid, run_id, seq, epoch,
            toUnixTimestamp64Nano(received_at) AS at,
            reinterpret(assumeNotNull(best_bid), 'Int64') AS bid,
            reinterpret(assumeNotNull(best_ask), 'Int64') AS ask,
            ifNull(bid_size, 0) AS bid_size,
            ifNull(ask_size, 0) AS ask_size,
            reinterpret(tick, 'Int64') AS tick,
            sizes,
            arrayFirstIndex(size -> size > 0, sizes) AS bid_row,
            arrayLastIndex(size -> size < 0, sizes) AS ask_row,
            -- A frame shows the last trade only where its row was sent.
            anyLast(last_price) OVER by_window AS shown_price,
            anyLast(last_size) OVER by_window AS shown_size,
            two_sided, crossed, locked, complete, suspect, in_force_ns, phase
        FROM (/* include states_of_depth.sql */)
        WINDOW by_window AS (PARTITION BY conid, run_id, epoch, window ORDER BY seq)
    )
SELECT
    trade_date, conid, run_id, seq, epoch, at, bid, ask, bid_size, ask_size,
    two_sided, crossed, locked, complete, suspect, in_force_ns, phase,
    bid_row = 0 AND ask_row = 0 AS is_empty,
    shown_price IS NOT NULL AND shown_size IS NOT NULL AS last_known,
    reinterpret(assumeNotNull(shown_price), 'Int64') AS last_price,
    assumeNotNull(shown_size) AS last_size,
    two_sided AND bid > 0 AND ask > 0 AS positive,
    if(two_sided, ask - bid, 0) AS spread,
    intDiv(spread, tick) AS spread_ticks,
    if(
        positive,
        toInt64(intDiv(toInt128(spread) * 20000 * billion, if(positive, bid + ask, 1))),
        0
    ) AS spread_bp,
    bid_row > 0 AS bid_1_known,
    bid_row > 0 AND complete AND bid_row + 5 <= 22 AS bid_5_known,
    bid_row > 0 AND complete AND bid_row + 10 <= 22 AS bid_10_known,
    ask_row > 0 AS ask_1_known,
    ask_row >= 5 AND complete AS ask_5_known,
    ask_row >= 10 AND complete AS ask_10_known,
    toInt64(bid_size) AS bid_1,
    toInt64(ask_size) AS ask_1,
    if(bid_5_known, arraySum(size -> toInt64(greatest(size, 0)), arraySlice(sizes, bid_row, 5)), 0)
        AS bid_5,
    if(bid_10_known, arraySum(size -> toInt64(greatest(size, 0)), arraySlice(sizes, bid_row, 10)), 0)
        AS bid_10,
    if(ask_5_known, arraySum(size -> toInt64(greatest(-size, 0)), arraySlice(sizes, ask_row - 4, 5)), 0)
        AS ask_5,
    if(ask_10_known, arraySum(size -> toInt64(greatest(-size, 0)), arraySlice(sizes, ask_row - 9, 10)), 0)
        AS ask_10,
    bid_1_known AND ask_1_known AS both_1_known,
    bid_5_known AND ask_5_known AS both_5_known,
    bid_10_known AND ask_10_known AS both_10_known,
    if(both_1_known, intDiv((bid_1 - ask_1) * billion, greatest(bid_1 + ask_1, 1)), 0)
        AS imbalance_1,
    if(both_5_known, intDiv((bid_5 - ask_5) * billion, greatest(bid_5 + ask_5, 1)), 0)
        AS imbalance_5,
    if(both_10_known, intDiv((bid_10 - ask_10) * billion, greatest(bid_10 + ask_10, 1)), 0)
        AS imbalance_10
FROM numbers
