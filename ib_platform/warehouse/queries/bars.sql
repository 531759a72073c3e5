-- Bars of every size of a trade date: what table `bars` holds.
--
-- Grain:   one row per (conid, bar_size, bar_start) in which at least one book state exists.
-- Inputs:  states.sql, hence ladder_frames; the spells, gaps and suspect windows of the same build.
-- Order:   states of a bar are ordered by (received_at, run_id, seq), always as one scalar, which is
--          several times faster than a tuple: `rank` inside a second of one run (nanoseconds of
--          the second, then 34 bits of seq), `order_of` between parts. What follows a state is decided by seq inside (conid, run_id).
-- How:     states are first reduced to parts (one per conid, run, epoch and second), and parts to
--          bars of all sizes. A state lasts until the next one of its run and epoch, the last one of an
--          epoch until the end of its spell. States whose successor lies in another part travel as
--          `edges`, since only they can cross the end of a bar. Likewise `entries`: the states that
--          were carried into a part. Sums are of integers, so no order of adding can change them.
-- Repeat:  the same inputs give the same rows, `built_at` aside.
-- Params:  trade_date Date, read_from Date, own_rows Bool, date_begin and date_end DateTime64(9), known_until
--          DateTime64(9), spells, gaps and suspects Identifier, inputs_version String, built_at
--          DateTime64(3).
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    toUnixTimestamp64Nano({date_end:DateTime64(9, 'UTC')}) AS end_ns,
    toUnixTimestamp64Nano({known_until:DateTime64(9, 'UTC')}) AS known_ns,
    1000000000 AS second,
    (
        SELECT arraySort(groupUniqArray(toString(run_id)))
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ) AS run_ids,
    -- (received_at, run_id, seq) in one number: 64 bits of nanoseconds, 16 of the run, 48 of seq.
    (at_second, rank, run_id) -> bitOr(
        bitShiftLeft(toUInt128(at_second * second + bitShiftRight(rank, 34)), 64),
        bitOr(
            bitShiftLeft(toUInt64(indexOf(run_ids, toString(run_id))), 48),
            bitAnd(rank, bitShiftLeft(toUInt64(1), 34) - 1)
        )
    ) AS order_of,
    prices AS
    (
        SELECT
            trade_date, conid, run_id, seq, epoch,
            toUnixTimestamp64Nano(received_at) AS at,
            intDiv(at, second) AS at_second,
            bitOr(bitShiftLeft(toUInt64(at % second), 34), seq) AS rank,
            reinterpret(assumeNotNull(best_bid), 'Int64') AS bid,
            reinterpret(assumeNotNull(best_ask), 'Int64') AS ask,
            best_bid, best_ask, bid_size, ask_size,
            two_sided, crossed, locked, complete, suspect,
            best_bid IS NULL AND best_ask IS NULL AS is_empty,
            if(two_sided, ask - bid, 0) AS spread,
            bid + ask AS mid_twice
        FROM (/* include states.sql */)
    ),
    linked AS
    (
        SELECT
            *,
            leadInFrame(at) OVER around AS next_at,
            leadInFrame(toInt64(epoch)) OVER around = epoch AS followed,
            followed AND intDiv(next_at, second) = at_second AND next_at >= at AS inside,
            lagInFrame(toInt64(epoch)) OVER around AS previous_epoch,
            lagInFrame(at) OVER around AS previous_at,
            lagInFrame((spread, two_sided, crossed)) OVER around AS previous_state
        FROM prices
        WINDOW around AS (
            PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
        )
    ),
    parts AS
    (
        SELECT
            conid, run_id, epoch, at_second,
            count() AS frames,
            countIf(two_sided) AS states,
            countIf(is_empty) AS empty_states,
            countIf(crossed) AS crossed_states,
            countIf(locked) AS locked_states,
            countIf(NOT complete) AS warm_up_states,
            max(suspect) AS any_suspect,
            min(rank) AS first_rank,
            max(rank) AS last_rank,
            minIf(rank, two_sided) AS first_two_sided_rank,
            maxIf(rank, two_sided) AS last_two_sided_rank,
            argMinIf(mid_twice, rank, two_sided) AS mid_open,
            argMaxIf(mid_twice, rank, two_sided) AS mid_close,
            maxIf(mid_twice, two_sided) AS mid_high,
            minIf(mid_twice, two_sided) AS mid_low,
            argMax((best_bid, best_ask, bid_size, ask_size), rank) AS touch_close,
            sum(toInt128(spread)) AS spread_sum,
            maxIf(spread, two_sided) AS spread_max,
            sumIf(next_at - at, inside AND two_sided) AS inside_time,
            sumIf(toInt128(spread) * (next_at - at), inside AND two_sided) AS inside_weight,
            sumIf(next_at - at, inside AND crossed) AS inside_crossed,
            groupArrayIf(
                (at, if(followed, next_at, 0), followed, spread, crossed), NOT inside AND two_sided
            ) AS edges,
            groupArrayIf(
                (at, previous_at, previous_epoch = epoch, previous_state.1, previous_state.3),
                previous_at > 0 AND previous_state.2
                AND (previous_epoch != epoch OR intDiv(previous_at, second) < at_second)
            ) AS entries
        FROM linked
        WHERE trade_date = {trade_date:Date}
        GROUP BY conid, run_id, epoch, at_second
    ),
    ended AS
    (
        SELECT
            parts.*,
            toUnixTimestamp64Nano(spells.end) AS spell_end,
            toUnixTimestamp64Nano(ifNull(spells.previous_end, toDateTime64(0, 9, 'UTC')))
                AS previous_end,
            order_of(at_second, first_two_sided_rank, run_id) AS open_order,
            order_of(at_second, last_two_sided_rank, run_id) AS close_order,
            order_of(at_second, last_rank, run_id) AS last_order
        FROM parts
        LEFT JOIN
        (
            SELECT conid, run_id, epoch, end, previous_end
            FROM {spells:Identifier}
            WHERE trade_date = {trade_date:Date}
        ) AS spells USING (conid, run_id, epoch)
    ),
    sized AS
    (
        SELECT
            *,
            size,
            if(
                size = 86400,
                begin_ns,
                greatest(begin_ns, (at_second - at_second % size) * second)
            ) AS bar_begin,
            if(
                size = 86400,
                end_ns,
                least(end_ns, (at_second - at_second % size + size) * second)
            ) AS bar_end,
            -- Each edge: two-sided time, weighted time and crossed time inside the bar.
            arrayMap(
                edge -> greatest(
                    0, least(if(edge.3, edge.2, spell_end), bar_end) - edge.1
                ),
                edges
            ) AS edge_times,
            arrayMap(
                entry -> if(
                    entry.2 < bar_begin,
                    greatest(0, least(if(entry.3, entry.1, previous_end), bar_end) - bar_begin),
                    0
                ),
                entries
            ) AS entry_times,
            inside_time + arraySum(edge_times) + arraySum(entry_times) AS time,
            inside_weight
                + arraySum((edge, t) -> toInt128(edge.4) * t, edges, edge_times)
                + arraySum((entry, t) -> toInt128(entry.4) * t, entries, entry_times) AS weight,
            inside_crossed
                + arraySum((edge, t) -> edge.5 * t, edges, edge_times)
                + arraySum((entry, t) -> entry.5 * t, entries, entry_times) AS crossed_time,
            arrayExists((entry, t) -> entry.5 AND t > 0, entries, entry_times) AS crossed_entry
        FROM ended
        ARRAY JOIN [1, 60, 300, 3600, 86400] AS size
    ),
    summed AS
    (
        SELECT
            conid, size, bar_begin, bar_end,
            sum(frames) AS n_frames,
            sum(states) AS n_states,
            sum(empty_states) AS n_empty,
            sum(crossed_states) AS n_crossed,
            sum(locked_states) AS n_locked,
            sum(warm_up_states) AS n_warm_up,
            max(any_suspect OR crossed_states > 0 OR crossed_entry) AS any_suspect_state,
            min(at_second * second + bitShiftRight(first_rank, 34)) AS first_at,
            max(at_second * second + bitShiftRight(last_rank, 34)) AS last_at,
            argMinIf(sized.mid_open, open_order, states > 0) AS open_twice,
            argMaxIf(sized.mid_close, close_order, states > 0) AS close_twice,
            maxIf(sized.mid_high, states > 0) AS high_twice,
            minIf(sized.mid_low, states > 0) AS low_twice,
            argMax(touch_close, last_order) AS touch,
            sum(sized.spread_sum) AS spreads,
            maxIf(sized.spread_max, states > 0) AS widest,
            sum(time) AS two_sided_time,
            sum(weight) AS weighted_time,
            sum(crossed_time) AS total_crossed_time
        FROM sized
        GROUP BY conid, size, bar_begin, bar_end
    ),
    gap_spans AS
    (
        SELECT
            assumeNotNull(conid) AS conid,
            toUnixTimestamp64Nano(begin) AS span_begin,
            max(toUnixTimestamp64Nano(end)) OVER (PARTITION BY conid ORDER BY begin) AS span_end
        FROM {gaps:Identifier}
        WHERE trade_date = {trade_date:Date} AND conid IS NOT NULL
    ),
    suspect_spans AS
    (
        SELECT
            conid,
            toUnixTimestamp64Nano(begin) AS span_begin,
            max(toUnixTimestamp64Nano(end)) OVER (PARTITION BY conid ORDER BY begin) AS span_end
        FROM {suspects:Identifier}
        WHERE trade_date = {trade_date:Date}
    ),
    -- Spells of a contract that touch or overlap, joined to islands.
    islands AS
    (
        SELECT conid, min(span_begin) AS span_begin, max(span_end) AS span_end
        FROM
        (
            SELECT
                conid, span_begin, span_end,
                sum(span_begin > reached) OVER (
                    PARTITION BY conid ORDER BY span_begin, span_end, run_id
                    ROWS UNBOUNDED PRECEDING
                ) AS island
            FROM
            (
                SELECT
                    conid, run_id,
                    toUnixTimestamp64Nano(begin) AS span_begin,
                    toUnixTimestamp64Nano(end) AS span_end,
                    max(span_end) OVER (
                        PARTITION BY conid ORDER BY span_begin, span_end, run_id
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ) AS reached
                FROM {spells:Identifier}
                WHERE trade_date = {trade_date:Date}
            )
        )
        GROUP BY conid, island
    )
SELECT
    {trade_date:Date} AS trade_date,
    summed.conid AS conid,
    CAST(
        transform(size, [1, 60, 300, 3600, 86400], ['1s', '1m', '5m', '1h', '1d'], '')
        AS Enum8('1s' = 1, '1m' = 2, '5m' = 3, '1h' = 4, '1d' = 5)
    ) AS bar_size,
    toDateTime(intDiv(bar_begin, second), 'UTC') AS bar_start,
    toDateTime(intDiv(summed.bar_end, second), 'UTC') AS bar_end,
    n_frames AS frames,
    n_states AS states,
    n_frames - n_states - n_empty AS one_sided_states,
    n_empty AS empty_states,
    n_crossed AS crossed_states,
    n_locked AS locked_states,
    n_warm_up AS warm_up_states,
    fromUnixTimestamp64Nano(toInt64(first_at), 'UTC') AS first_received_at,
    fromUnixTimestamp64Nano(toInt64(last_at), 'UTC') AS last_received_at,
    if(n_states > 0, CAST(toDecimal128(open_twice, 9) / 2000000000 AS Decimal(18, 9)), NULL)
        AS mid_open,
    if(n_states > 0, CAST(toDecimal128(high_twice, 9) / 2000000000 AS Decimal(18, 9)), NULL)
        AS mid_high,
    if(n_states > 0, CAST(toDecimal128(low_twice, 9) / 2000000000 AS Decimal(18, 9)), NULL)
        AS mid_low,
    if(n_states > 0, CAST(toDecimal128(close_twice, 9) / 2000000000 AS Decimal(18, 9)), NULL)
        AS mid_close,
    touch.1 AS bid_close,
    touch.2 AS ask_close,
    touch.3 AS bid_size_close,
    touch.4 AS ask_size_close,
    if(n_states > 0, toFloat64(spreads) / n_states / 1e9, NULL) AS spread_mean,
    if(two_sided_time > 0, toFloat64(weighted_time) / two_sided_time / 1e9, NULL)
        AS spread_time_weighted,
    if(n_states > 0, CAST(toDecimal128(widest, 9) / 1000000000 AS Decimal(18, 9)), NULL)
        AS spread_max,
    two_sided_time / 1e9 AS two_sided_seconds,
    total_crossed_time / 1e9 AS crossed_seconds,
    (toFloat64(ask_close) * bid_size_close + toFloat64(bid_close) * ask_size_close)
        / touch_depth_close AS microprice_close,
    toInt64(bid_size_close) + ask_size_close AS touch_depth_close,
    (bid_size_close - ask_size_close) / touch_depth_close AS imbalance_close,
    closed AND NOT cut AND NOT gap AND NOT suspect
        AND islands.span_end >= summed.bar_end AND islands.span_begin <= bar_begin
        AND islands.span_end > 0 AS complete,
    summed.bar_end <= known_ns AS closed,
    n_warm_up > 0 AS warm_up,
    n_states < n_frames AS one_sided,
    any_suspect_state OR suspect_spans.span_end > bar_begin AS suspect,
    gap_spans.span_end > bar_begin AS gap,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM
(
    SELECT *, size < 86400 AND (summed.bar_end - bar_begin) < size * second AS cut
    FROM summed
) AS summed
ASOF LEFT JOIN gap_spans
    ON summed.conid = gap_spans.conid AND summed.bar_end > gap_spans.span_begin
ASOF LEFT JOIN suspect_spans
    ON summed.conid = suspect_spans.conid AND summed.bar_end > suspect_spans.span_begin
ASOF LEFT JOIN islands
    ON summed.conid = islands.conid AND summed.bar_begin >= islands.span_begin
