-- Measures of a book state: what bars average over states and over time, as integers.
--
-- Grain:   one row per row of states.sql.
-- Inputs:  states.sql, hence ladder_frames.
-- How:     `measures` and `known` are arrays of the same length. A measure that is not known is 0 and
--          `known` says 0, so that sums over both give an average over what is known. Prices are
--          integers of a billionth, ratios too; a ratio is rounded towards zero. No touch has the
--          price 0 and the size 0. In order:
--            1        spread
--            2        spread in ticks
--            3        spread in billionths of a basis point of the mid, if both prices are positive
--            4 to 6   bid depth over 1, 5 and 10 prices from the best bid down, empty ones included
--            7 to 9   ask depth over 1, 5 and 10 prices from the best ask up
--            10 to 12 imbalance over 1, 5 and 10 prices a side
--            13       whether the state is crossed
--          `last_price` and `last_size` are the last trade that the window has shown so far.
--          Depth over more than the touch is known once the window is complete, and as far as the
--          window reaches.
-- Repeat:  a pure function of states.sql.
-- Params:  those of states.sql.
WITH
    [1, 5, 10] AS prices_per_side,
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
            two_sided, crossed, locked, complete, suspect
        FROM (/* include states.sql */)
        WINDOW by_window AS (PARTITION BY conid, run_id, epoch, window ORDER BY seq)
    )
SELECT
    trade_date, conid, run_id, seq, epoch, at, bid, ask, bid_size, ask_size,
    two_sided, crossed, locked, complete, suspect,
    bid_row = 0 AND ask_row = 0 AS is_empty,
    shown_price IS NOT NULL AND shown_size IS NOT NULL AS last_known,
    reinterpret(assumeNotNull(shown_price), 'Int64') AS last_price,
    assumeNotNull(shown_size) AS last_size,
    arrayMap(
        count -> bid_row > 0 AND (count = 1 OR complete) AND bid_row + count <= 22, prices_per_side
    ) AS bids_known,
    arrayMap(
        count -> ask_row > 0 AND (count = 1 OR complete) AND ask_row >= count, prices_per_side
    ) AS asks_known,
    arrayMap(
        (count, is_known) -> if(
            is_known,
            arraySum(size -> toInt64(greatest(size, 0)), arraySlice(sizes, bid_row, count)),
            0
        ),
        prices_per_side, bids_known
    ) AS bids,
    arrayMap(
        (count, is_known) -> if(
            is_known,
            arraySum(
                size -> toInt64(greatest(-size, 0)), arraySlice(sizes, ask_row - count + 1, count)
            ),
            0
        ),
        prices_per_side, asks_known
    ) AS asks,
    arrayMap((a, b) -> a AND b, bids_known, asks_known) AS both_known,
    -- At the close of a bar; -1 is unknown.
    if(bids_known[2], bids[2], -1) AS bid_depth_5,
    if(bids_known[3], bids[3], -1) AS bid_depth_10,
    if(asks_known[2], asks[2], -1) AS ask_depth_5,
    if(asks_known[3], asks[3], -1) AS ask_depth_10,
    two_sided AND bid > 0 AND ask > 0 AS positive,
    if(two_sided, ask - bid, 0) AS spread,
    arrayConcat(
        [
            spread,
            intDiv(spread, tick),
            if(
                positive,
                toInt64(intDiv(toInt128(spread) * 20000 * billion, if(positive, bid + ask, 1))),
                0
            )
        ],
        bids,
        asks,
        arrayMap(
            (b, a, is_known) -> if(is_known, intDiv((b - a) * billion, greatest(b + a, 1)), 0),
            bids, asks, both_known
        ),
        [toInt64(crossed)]
    ) AS measures,
    arrayConcat(
        [two_sided, two_sided, positive], bids_known, asks_known, both_known, [two_sided]
    ) AS known
FROM numbers
