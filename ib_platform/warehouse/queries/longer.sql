-- Sums of bars of a minute and longer: parts of a minute, added up.
--
-- Grain:   one row per (conid, size, bar_begin) in which at least one book state exists.
-- Inputs:  minutes.sql, hence ladder_frames; the spells of the same build.
-- Order:   parts of a contract by the clock.
-- How:     a state that leaves its part may still end inside the bar, and one that was carried into
--          a part may belong to the bar already: `more` is how much longer such a state counts in the
--          bar than it did in its part; it may be negative.
-- Repeat:  a pure function of its inputs.
-- Params:  those of parts.sql; part UInt32 (must be 60).
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    toUnixTimestamp64Nano({date_end:DateTime64(9, 'UTC')}) AS end_ns,
    size * 1000000000 AS size_ns,
    {part:UInt32} * 1000000000 AS part_ns,
    sized AS
    (
        SELECT
            *,
            size,
            intDiv(part_no * 60, size) AS bar_no,
            if(size = 86400, begin_ns, greatest(begin_ns, bar_no * size_ns)) AS bar_begin,
            if(size = 86400, end_ns, least(end_ns, (bar_no + 1) * size_ns)) AS bar_end,
            greatest(begin_ns, part_no * part_ns) AS part_begin,
            least(end_ns, (part_no + 1) * part_ns) AS part_end,
            arrayMap(
                state -> greatest(0, least(state.2, bar_end) - state.1)
                    - greatest(0, least(state.2, part_end) - state.1),
                leaving
            ) AS leaving_more,
            arrayMap(
                state -> if(
                    state.1 < bar_begin, greatest(0, least(state.2, bar_end) - bar_begin), 0
                ),
                arriving
            ) AS arriving_held,
            arrayMap(
                (state, held) -> held - greatest(0, least(state.2, part_end) - part_begin),
                arriving, arriving_held
            ) AS arriving_more,
            arrayConcat(leaving_more, arriving_more) AS more,
            arrayConcat(leaving.3, arriving.3) AS held_measures,
            arrayConcat(leaving.4, arriving.4) AS held_known,
            arrayExists((m, t) -> m[1] < 0 AND t > 0, arriving.3, arriving_held) AS crossed_before
        FROM (/* include minutes.sql */)
        ARRAY JOIN [60, 300, 900, 3600, 86400] AS size
    )
SELECT
    conid, size, bar_begin, bar_end,
    sum(sized.frames) AS frames,
    sum(sized.states) AS states,
    sum(sized.empty_states) AS empty_states,
    sum(sized.crossed_states) AS crossed_states,
    sum(sized.locked_states) AS locked_states,
    sum(sized.warm_up_states) AS warm_up_states,
    max(any_suspect OR crossed_before) AS any_suspect_state,
    min(sized.first_at) AS first_at,
    max(sized.last_at) AS last_at,
    argMinIf(sized.open_twice, part_no, sized.states > 0) AS open_twice,
    argMaxIf(sized.close_twice, part_no, sized.states > 0) AS close_twice,
    maxIf(sized.high_twice, sized.states > 0) AS high_twice,
    minIf(sized.low_twice, sized.states > 0) AS low_twice,
    argMax(sized.bid_close, part_no) AS bid_close,
    argMax(sized.ask_close, part_no) AS ask_close,
    argMax(sized.bid_size_close, part_no) AS bid_size_close,
    argMax(sized.ask_size_close, part_no) AS ask_size_close,
    argMax(sized.bid_depth_5_close, part_no) AS bid_depth_5_close,
    argMax(sized.bid_depth_10_close, part_no) AS bid_depth_10_close,
    argMax(sized.ask_depth_5_close, part_no) AS ask_depth_5_close,
    argMax(sized.ask_depth_10_close, part_no) AS ask_depth_10_close,
    sum(sized.spreads) AS spreads,
    sum(sized.spreads_in_ticks) AS spreads_in_ticks,
    sum(sized.positive_states) AS positive_states,
    sum(sized.spreads_in_basis_points) AS spreads_in_basis_points,
    maxIf(sized.widest, sized.states > 0) AS widest,
    sum(sized.suspect_states) AS suspect_states,
    countIf(returned) AS returns,
    sum(squared_return) AS squared_returns,
    sum(sized.order_flows) AS order_flows,
    sum(sized.order_flow_steps) AS order_flow_steps,
    sum(sized.last_steps) AS last_steps,
    sum(sized.trades) AS trades,
    argMinIf(sized.trade_open, part_no, sized.trades > 0) AS trade_open,
    argMaxIf(sized.trade_close, part_no, sized.trades > 0) AS trade_close,
    maxIf(sized.trade_high, sized.trades > 0) AS trade_high,
    minIf(sized.trade_low, sized.trades > 0) AS trade_low,
    sumForEach(
        arrayMap(
            (weight, index) ->
                weight + arraySum((m, t) -> toInt128(m[index]) * t, held_measures, more),
            sized.weights, arrayEnumerate(sized.weights)
        )
    ) AS weights,
    sumForEach(
        arrayMap(
            (time, index) -> time + arraySum((k, t) -> k[index] * t, held_known, more),
            sized.times, arrayEnumerate(sized.times)
        )
    ) AS times
FROM sized
GROUP BY conid, size, bar_begin, bar_end
