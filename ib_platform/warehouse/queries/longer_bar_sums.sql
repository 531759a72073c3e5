-- Sums of longer bars: those of their seconds, and the time between these.
--
-- Grain:   one row per (conid, size, bar_begin) in which at least one book state exists.
-- Inputs:  the sums of bar_sums.sql, and the states of bar_states.sql, both staged.
-- How:     the seconds of a contract lie one after the other, so that the first and the last of them
--          have what a bar begins and ends with. A state that outlasts its second counts there up
--          to the end of that second, and from the begin of the second of its run's next state on.
--          What lies between belongs to the longer bar that has the state, and to that of the next
--          state, as far as it lies in them: `between` adds it to the sums over time.
-- Repeat:  a pure function of its inputs.
-- Params:  date_begin and date_end DateTime64(9), bar_sums and bar_states Identifier, sizes
--          Array(Int64) in seconds; a day is the whole trade date.
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    toUnixTimestamp64Nano({date_end:DateTime64(9, 'UTC')}) AS end_ns,
    toInt64(86400) AS day,
    toInt64(1000000000) AS second_ns,
    (instant, length) -> if(length = day, 0, intDiv(instant, length * second_ns)) AS bar_no_at,
    (number, length) -> if(length = day, begin_ns, greatest(begin_ns, number * length * second_ns))
        AS begin_of,
    (number, length) -> if(length = day, end_ns, least(end_ns, (number + 1) * length * second_ns))
        AS end_of,
    outlasting AS
    (
        SELECT
            *,
            intDiv(at, second_ns) AS own_second,
            intDiv(next_at, second_ns) AS next_second,
            has_next AND NOT (own_date AND next_second = own_second) AS goes_on,
            greatest(begin_ns, next_second * second_ns) AS reached,
            if(own_date, least(end_ns, (own_second + 1) * second_ns), begin_ns) AS left_at,
            if(own_date, if(goes_on, least(until, reached), until), left_at) AS held_until,
            if(goes_on, least(until, reached), left_at) AS carried_to
        FROM {bar_states:Identifier}
        WHERE (held_until > left_at AND NOT (has_next AND own_second = next_second))
           OR carried_to > left_at
    ),
    between AS
    (
        SELECT
            *,
            size,
            if(own_date, bar_no_at(at, size), -1) AS own_no,
            bar_no_at(next_at, size) AS next_no,
            arrayJoin(
                arrayConcat(
                    if(own_date, [own_no], []),
                    if(goes_on AND next_no != own_no, [next_no], [])
                )
            ) AS bar_no,
            begin_of(bar_no, size) AS bar_begin,
            end_of(bar_no, size) AS bar_end,
            if(bar_no = own_no, held_until, carried_to) AS lasting_until,
            least(lasting_until, bar_end) - greatest(left_at, bar_begin) AS held
        FROM outlasting
        ARRAY JOIN {sizes:Array(Int64)} AS size
    ),
    times_between AS
    (
        SELECT
            conid, size, bar_begin, bar_end,
            max(crossed_while_open) AS any_crossed,
            [
                sum(toInt128(spread) * held),
                sum(toInt128(spread_ticks) * held),
                sum(toInt128(spread_bp) * held),
                sum(toInt128(bid_1) * held),
                sum(toInt128(bid_5) * held),
                sum(toInt128(bid_10) * held),
                sum(toInt128(ask_1) * held),
                sum(toInt128(ask_5) * held),
                sum(toInt128(ask_10) * held),
                sum(toInt128(imbalance_1) * held),
                sum(toInt128(imbalance_5) * held),
                sum(toInt128(imbalance_10) * held),
                sum(toInt128(crossed) * held)
            ] AS weights,
            [
                sum(two_sided * held),
                sum(two_sided * held),
                sum(positive * held),
                sum(bid_1_known * held),
                sum(bid_5_known * held),
                sum(bid_10_known * held),
                sum(ask_1_known * held),
                sum(ask_5_known * held),
                sum(ask_10_known * held),
                sum(both_1_known * held),
                sum(both_5_known * held),
                sum(both_10_known * held)
            ] AS times
        FROM between
        WHERE held > 0
        GROUP BY conid, size, bar_begin, bar_end
    ),
    seconds AS
    (
        SELECT
            *,
            size,
            begin_of(bar_no_at(at_second, size), size) AS bar_begin,
            end_of(bar_no_at(at_second, size), size) AS bar_end
        FROM
        (
            SELECT * EXCEPT (size, bar_begin, bar_end), bar_begin AS at_second
            FROM {bar_sums:Identifier}
        )
        ARRAY JOIN {sizes:Array(Int64)} AS size
    ),
    added AS
    (
        SELECT
            conid, size, bar_begin, bar_end,
            sum(seconds.frames) AS frames,
            sum(seconds.states) AS states,
            sum(seconds.empty_states) AS empty_states,
            sum(seconds.crossed_states) AS crossed_states,
            sum(seconds.locked_states) AS locked_states,
            sum(seconds.warm_up_states) AS warm_up_states,
            sum(seconds.suspect_states) AS suspect_states,
            max(seconds.any_suspect_state) AS any_suspect_state,
            min(seconds.first_at) AS first_at,
            max(seconds.last_at) AS last_at,
            argMinIf(seconds.open_twice, at_second, seconds.states > 0) AS open_twice,
            argMaxIf(seconds.close_twice, at_second, seconds.states > 0) AS close_twice,
            maxIf(seconds.high_twice, seconds.states > 0) AS high_twice,
            minIf(seconds.low_twice, seconds.states > 0) AS low_twice,
            argMax(seconds.bid_close, at_second) AS bid_close,
            argMax(seconds.ask_close, at_second) AS ask_close,
            argMax(seconds.bid_size_close, at_second) AS bid_size_close,
            argMax(seconds.ask_size_close, at_second) AS ask_size_close,
            argMax(seconds.bid_depth_5_close, at_second) AS bid_depth_5_close,
            argMax(seconds.bid_depth_10_close, at_second) AS bid_depth_10_close,
            argMax(seconds.ask_depth_5_close, at_second) AS ask_depth_5_close,
            argMax(seconds.ask_depth_10_close, at_second) AS ask_depth_10_close,
            sum(seconds.spreads) AS spreads,
            sum(seconds.spreads_in_ticks) AS spreads_in_ticks,
            sum(seconds.positive_states) AS positive_states,
            sum(seconds.spreads_in_basis_points) AS spreads_in_basis_points,
            maxIf(seconds.widest, seconds.states > 0) AS widest,
            sum(seconds.sound_states) AS sound_states,
            argMaxIf(seconds.sound_twice, at_second, seconds.sound_states > 0) AS sound_twice,
            argMaxIf(seconds.sound_at, at_second, seconds.sound_states > 0) AS sound_at,
            sum(seconds.order_flows) AS order_flows,
            sum(seconds.order_flow_steps) AS order_flow_steps,
            sum(seconds.last_steps) AS last_steps,
            sum(seconds.trades) AS trades,
            argMinIf(seconds.trade_open, at_second, seconds.trades > 0) AS trade_open,
            argMaxIf(seconds.trade_close, at_second, seconds.trades > 0) AS trade_close,
            maxIf(seconds.trade_high, seconds.trades > 0) AS trade_high,
            minIf(seconds.trade_low, seconds.trades > 0) AS trade_low,
            sumForEach(seconds.weights) AS weights,
            sumForEach(seconds.times) AS times
        FROM seconds
        GROUP BY conid, size, bar_begin, bar_end
    )
SELECT
    added.* EXCEPT (any_suspect_state, weights, times),
    any_suspect_state OR any_crossed AS any_suspect_state,
    if(empty(more.weights), added.weights, arrayMap((a, b) -> a + b, added.weights, more.weights))
        AS weights,
    if(empty(more.times), added.times, arrayMap((a, b) -> a + b, added.times, more.times)) AS times
FROM added
LEFT JOIN times_between AS more USING (conid, size, bar_begin)
