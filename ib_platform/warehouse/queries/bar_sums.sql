-- Sums of bars of a second: the states of a trade date, added up second by second.
--
-- Grain:   one row per (conid, bar_begin) in which at least one book state exists.
-- Inputs:  the states of bar_states.sql, staged.
-- How:     a bar owns its states up to its own end, and the time before its first state for which
--          a state of an earlier bar still held: such a state counts once more, in the bar of the
--          next state of its run, with its time there and nothing else. `weights` are measure x time,
--          `times` for how long the measure was known, both in the order
--            1        spread
--            2        spread in ticks
--            3        spread in billionths of a basis point
--            4 to 6   bid depth over 1, 5 and 10 prices
--            7 to 9   ask depth over 1, 5 and 10 prices
--            10 to 12 imbalance over 1, 5 and 10 prices a side
--            13       whether the state is crossed
--          All sums are of integers, so no order of adding can change them.
-- Repeat:  a pure function of its inputs.
-- Params:  date_begin and date_end DateTime64(9), bar_states Identifier.
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    toUnixTimestamp64Nano({date_end:DateTime64(9, 'UTC')}) AS end_ns,
    toInt64(1000000000) AS size_ns,
    placed AS
    (
        SELECT
            *,
            if(own_date, intDiv(at, size_ns), -1) AS own_no,
            intDiv(next_at, size_ns) AS next_no,
            has_next AND next_no > own_no
                AND until > greatest(begin_ns, next_no * size_ns) AS carried,
            arrayJoin(
                arrayConcat(if(own_date, [own_no], []), if(carried, [next_no], []))
            ) AS bar_no,
            bar_no = own_no AS own,
            greatest(begin_ns, bar_no * size_ns) AS bar_begin,
            least(end_ns, (bar_no + 1) * size_ns) AS bar_end,
            greatest(
                0, least(until, bar_end) - greatest(at, bar_begin)
            ) AS held,
            own AND two_sided AS own_two_sided,
            own AND sound AS own_sound,
            own AND traded AS own_traded
        FROM {bar_states:Identifier}
    )
SELECT
    conid, toInt64(1) AS size, bar_begin, bar_end,
    countIf(own) AS frames,
    countIf(own_two_sided) AS states,
    countIf(own AND is_empty) AS empty_states,
    countIf(own AND crossed) AS crossed_states,
    countIf(own AND locked) AS locked_states,
    countIf(own AND NOT complete) AS warm_up_states,
    countIf(own AND doubted) AS suspect_states,
    max(crossed_while_open OR own AND suspect) AS any_suspect_state,
    minIf(at, own) AS first_at,
    maxIf(at, own) AS last_at,
    argMinIf(bid + ask, place, own_two_sided) AS open_twice,
    argMaxIf(bid + ask, place, own_two_sided) AS close_twice,
    maxIf(bid + ask, own_two_sided) AS high_twice,
    minIf(bid + ask, own_two_sided) AS low_twice,
    argMaxIf(bid, place, own) AS bid_close,
    argMaxIf(ask, place, own) AS ask_close,
    argMaxIf(bid_size, place, own) AS bid_size_close,
    argMaxIf(ask_size, place, own) AS ask_size_close,
    -- -1 is unknown.
    argMaxIf(if(bid_5_known, bid_5, -1), place, own) AS bid_depth_5_close,
    argMaxIf(if(bid_10_known, bid_10, -1), place, own) AS bid_depth_10_close,
    argMaxIf(if(ask_5_known, ask_5, -1), place, own) AS ask_depth_5_close,
    argMaxIf(if(ask_10_known, ask_10, -1), place, own) AS ask_depth_10_close,
    sumIf(toInt128(spread), own) AS spreads,
    sumIf(spread_ticks, own) AS spreads_in_ticks,
    countIf(own AND positive) AS positive_states,
    sumIf(toInt128(spread_bp), own) AS spreads_in_basis_points,
    maxIf(spread, own_two_sided) AS widest,
    countIf(own_sound) AS sound_states,
    argMaxIf(bid + ask, place, own_sound) AS sound_twice,
    argMaxIf(at, place, own_sound) AS sound_at,
    sumIf(order_flow, own) AS order_flows,
    countIf(own AND flows) AS order_flow_steps,
    countIf(own AND last_compared) AS last_steps,
    countIf(own_traded) AS trades,
    argMinIf(last_price, place, own_traded) AS trade_open,
    argMaxIf(last_price, place, own_traded) AS trade_close,
    maxIf(last_price, own_traded) AS trade_high,
    minIf(last_price, own_traded) AS trade_low,
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
FROM placed
GROUP BY conid, bar_begin, bar_end
