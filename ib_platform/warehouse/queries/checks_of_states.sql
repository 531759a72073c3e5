-- Figures of the quality checks that book states show.
--
-- Grain:   one row per contract with a state on the date.
-- Inputs:  states.sql, hence ladder_frames; the spells of the same build.
-- Order:   by seq inside (conid, run_id).
-- How:     a state lasts until the next one, at most to the end of its spell; times are cut to the
--          open market, and a silence counts for nothing: it is a gap. `early`: too young a window
--          to have its depth. Blocks of 50 states have their own median of the mid.
-- Repeat:  a pure function of its inputs.
-- Params:  those of states.sql, spells Identifier, silent_ns Int64; markets: market_conids
--          Array(UInt64), market_begins and market_ends Array(Int64) of equal length; limits by
--          contract: limit_conids Array(UInt64), warm_ups (ns), wide_spreads, mid_outliers,
--          jump_ticks, jump_times (ns), size_outliers and ticks (0: unknown) Array(Float64).
WITH
    lasting AS
    (
        SELECT
            *,
            indexOf({limit_conids:Array(UInt64)}, conid) AS contract_no,
            if(
                end_at - at > {silent_ns:Int64}, 0,
                arraySum(
                    (of_conid, opens, closes) -> if(
                        of_conid = conid, greatest(0, least(end_at, closes) - greatest(at, opens)), 0
                    ),
                    {market_conids:Array(UInt64)}, {market_begins:Array(Int64)},
                    {market_ends:Array(Int64)}
                )
            ) AS open_ns,
            trade_date = {trade_date:Date} AND arrayExists(
                (of_conid, opens, closes) -> of_conid = conid AND opens <= at AND at < closes,
                {market_conids:Array(UInt64)}, {market_begins:Array(Int64)},
                {market_ends:Array(Int64)}
            ) AS is_open,
            NOT complete
                AND at - window_at < {warm_ups:Array(Float64)}[contract_no] AS early,
            -- What came before tells nothing of a ladder that was not followed in between.
            continued AND NOT new_window AND bids = previous_bids AS same_bids,
            continued AND NOT new_window AND asks = previous_asks AS same_asks,
            continued AND touch = previous_touch AS same_touch,
            -- By price: what a size was between two frames nobody knows.
            continued AND new_window AND two_sided AND previous_two_sided AS is_keyframe,
            prices = previous_prices AS same_prices,
            {jump_ticks:Array(Float64)}[contract_no] * step AS least_jump,
            {ticks:Array(Float64)}[contract_no] AS tick,
            continued AND sane AND previous_sane AND abs(mid - previous_mid) > least_jump AS jumped
        FROM
        (
            SELECT
                states.*,
                greatest(at, if(goes_on, next_at, toUnixTimestamp64Nano(spells.end))) AS end_at,
                number > 1 AND at - previous_at <= {silent_ns:Int64}
                    AND (epoch = previous_epoch OR ifNull(spells.previous_end = received_at, false))
                    AS continued
            FROM
            (
                SELECT
                    *,
                    row_number() OVER in_run AS number,
                    leadInFrame(at) OVER around AS next_at,
                    leadInFrame(toInt64(epoch)) OVER around = epoch AS goes_on,
                    lagInFrame(at) OVER around AS previous_at,
                    lagInFrame(epoch) OVER around AS previous_epoch,
                    (lagInFrame(epoch) OVER around, lagInFrame(window) OVER around)
                        != (epoch, window) AS new_window,
                    lagInFrame(bids) OVER around AS previous_bids,
                    lagInFrame(asks) OVER around AS previous_asks,
                    lagInFrame(touch) OVER around AS previous_touch,
                    lagInFrame(prices) OVER around AS previous_prices,
                    lagInFrame(two_sided) OVER around AS previous_two_sided,
                    lagInFrame(sane) OVER around AS previous_sane,
                    lagInFrame(mid) OVER around AS previous_mid,
                    min(at) OVER (PARTITION BY conid, run_id, epoch, window) AS window_at
                FROM
                (
                    -- Hashes, since windows sort and copy what they carry.
                    SELECT
                        trade_date, received_at, conid, run_id, seq, epoch, window,
                        two_sided, locked, complete,
                        toFloat64(tick) AS step,
                        toUnixTimestamp64Nano(received_at) AS at,
                        two_sided AND NOT crossed AS sane,
                        toFloat64(ifNull(best_bid, 0)) AS bid,
                        toFloat64(ifNull(best_ask, 0)) AS ask,
                        toFloat64(ifNull(bid_size, 0)) AS bid_amount,
                        toFloat64(ifNull(ask_size, 0)) AS ask_amount,
                        if(two_sided, (bid + ask) / 2, 0) AS mid,
                        if(two_sided, ask - bid, 0) AS spread,
                        cityHash64(bid, bid_amount > 0, ask, ask_amount > 0) AS prices,
                        cityHash64(bid, bid_amount, ask, ask_amount) AS touch,
                        cityHash64(arrayMap(size -> greatest(size, 0), sizes)) AS bids,
                        cityHash64(arrayMap(size -> least(size, 0), sizes)) AS asks
                    FROM (/* include states.sql */)
                )
                WINDOW
                    in_run AS (PARTITION BY conid, run_id ORDER BY seq ROWS UNBOUNDED PRECEDING),
                    around AS (
                        PARTITION BY conid, run_id ORDER BY seq
                        ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
                    )
            ) AS states
            LEFT JOIN
            (
                SELECT conid, run_id, epoch, end, previous_end
                FROM {spells:Identifier} WHERE trade_date = {trade_date:Date}
            ) AS spells USING (conid, run_id, epoch)
        )
    ),
    remembering AS
    (
        SELECT
            *,
            max(if(same_touch, 0, at)) OVER before AS touch_since,
            max(if(same_bids, 0, at)) OVER before AS bids_since,
            max(if(same_asks, 0, at)) OVER before AS asks_since,
            anyLast(if(jumped, previous_mid, NULL)) OVER before AS jumped_from,
            max(if(jumped, at, 0)) OVER before AS jumped_at
        FROM lasting
        WINDOW before AS (
            PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ),
    blocks AS
    (
        SELECT
            conid,
            any(contract_no) AS place,
            max(least_jump) AS greatest_jump,
            countIf(is_open) AS states,
            sum(open_ns) AS open_time,
            sumIf(open_ns, two_sided) AS two_sided_time,
            sumIf(open_ns, locked) AS locked_time,
            countIf(is_open AND locked) AS locked_states,
            sumIf(open_ns, NOT two_sided AND NOT early) AS one_sided_time,
            countIf(is_open AND NOT two_sided AND NOT early) AS one_sided_states,
            countIf(is_open AND NOT early) AS shaped_states,
            countIf(is_open AND NOT early AND (NOT complete OR step <= 0)) AS shallow_states,
            countIf(
                trade_date = {trade_date:Date}
                    AND (bid_amount > 0 AND bid <= 0 OR ask_amount > 0 AND ask <= 0)
            ) AS nonpositive_states,
            -- To a millionth of a tick: prices are decimals, their quotient is a float.
            countIf(
                trade_date = {trade_date:Date} AND tick > 0
                    -- To a millionth of a tick: prices are decimals, their quotient is a float.
                    AND greatest(
                        abs(bid / tick - round(bid / tick)), abs(ask / tick - round(ask / tick)),
                        abs(step / tick - round(step / tick))
                    ) > 1e-6
            ) AS off_tick_states,
            countIf(is_open AND is_keyframe) AS keyframes,
            countIf(is_open AND is_keyframe AND same_prices) AS agreeing_keyframes,
            groupArrayIf(spread, is_open AND sane) AS spreads,
            groupArrayIf(bid_amount, is_open AND two_sided) AS bid_sizes,
            groupArrayIf(ask_amount, is_open AND two_sided) AS ask_sizes,
            groupArrayIf(mid, is_open AND sane) AS mids,
            arrayReduce('median', mids) AS middle,
            arrayAvg(one -> abs(one - middle), mids)
                * {mid_outliers:Array(Float64)}[place] AS far,
            arrayCount(one -> abs(one - middle) > greatest(far, greatest_jump), mids)
                AS mid_outliers,
            groupArrayIf(
                cityHash64(run_id, jumped_at),
                is_open AND sane AND jumped_at > 0
                    AND at - jumped_at <= {jump_times:Array(Float64)}[contract_no]
                    AND abs(mid - assumeNotNull(jumped_from)) <= step * 1.000001
            ) AS spikes,
            groupArrayIf(at - touch_since, is_open AND continued AND NOT same_touch)
                AS touch_spells,
            groupArrayIf(
                cityHash64(run_id, bids_since),
                is_open AND same_bids AND NOT same_asks AND continued
                    AND at - bids_since > {silent_ns:Int64}
            ) AS frozen_bids,
            groupArrayIf(
                cityHash64(run_id, asks_since),
                is_open AND same_asks AND NOT same_bids AND continued
                    AND at - asks_since > {silent_ns:Int64}
            ) AS frozen_asks
        FROM remembering
        GROUP BY conid, run_id, intDiv(number, 50)
    )
SELECT
    conid,
    sum(blocks.states) AS states,
    sum(open_time) / 1e9 AS open_seconds,
    sum(two_sided_time) / 1e9 AS two_sided_seconds,
    sum(locked_time) / 1e9 AS locked_seconds,
    sum(blocks.locked_states) AS locked_states,
    sum(one_sided_time) / 1e9 AS one_sided_seconds,
    sum(blocks.one_sided_states) AS one_sided_states,
    sum(blocks.shaped_states) AS shaped_states,
    sum(blocks.shallow_states) AS shallow_states,
    sum(blocks.nonpositive_states) AS nonpositive_states,
    sum(blocks.off_tick_states) AS off_tick_states,
    sum(blocks.keyframes) AS keyframes,
    sum(blocks.agreeing_keyframes) AS agreeing_keyframes,
    arrayReduce('medianExact', groupArrayArray(spreads)) AS median_spread,
    arrayCount(
        one -> median_spread > 0
            AND one > median_spread * {wide_spreads:Array(Float64)}[any(place)],
        groupArrayArray(spreads)
    ) AS wide_spreads,
    sum(blocks.mid_outliers) AS mid_outliers,
    length(groupUniqArrayArray(spikes)) AS spikes,
    greatest(
        arrayReduce('quantileExact(0.999)', groupArrayArray(touch_spells)), {silent_ns:Int64}
    ) AS long_spell,
    arrayCount(one -> one > long_spell, groupArrayArray(touch_spells)) AS stale_touches,
    arrayMax(groupArrayArray(touch_spells)) / 1e9 AS longest_touch_seconds,
    length(groupUniqArrayArray(frozen_bids)) + length(groupUniqArrayArray(frozen_asks))
        AS frozen_sides,
    arrayReduce('medianExact', groupArrayArray(bid_sizes)) AS median_bid_size,
    arrayReduce('medianExact', groupArrayArray(ask_sizes)) AS median_ask_size,
    arrayCount(
        one -> one > median_bid_size * {size_outliers:Array(Float64)}[any(place)],
        groupArrayArray(bid_sizes)
    ) + arrayCount(
        one -> one > median_ask_size * {size_outliers:Array(Float64)}[any(place)],
        groupArrayArray(ask_sizes)
    ) AS size_outliers
FROM blocks
GROUP BY conid
ORDER BY conid
