-- Parts: the states of a trade date, reduced to spans of `part` seconds of one contract.
--
-- Grain:   one row per (conid, span of `part` seconds) in which at least one book state exists.
-- Inputs:  states.sql, hence ladder_frames; the spells of the same build.
-- Order:   states of a part are ordered by (received_at, run_id, seq), always as one number, which
--          is several times faster than a tuple. What follows a state is decided by seq inside
--          (conid, run_id).
-- How:     a state holds until the next one of its run and epoch, the last one of an epoch until
--          the end of its spell. A part owns its states up to its own end, and the time before its
--          first state for which a state of an earlier part still held. So `time`, `weight` (spread
--          x time) and `crossed_time` are those of a bar as long as the part. Longer bars need
--          `inside_*` (states that end in their part) and, one by one, the states that leave the
--          part and those that were carried into it. All are two-sided, all sums are of integers,
--          so no order of adding can change them.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, read_from Date, own_rows Bool, date_begin and date_end DateTime64(9),
--          spells Identifier, part UInt32 (1, 5 or 60).
WITH
    toUnixTimestamp64Nano({date_begin:DateTime64(9, 'UTC')}) AS begin_ns,
    toUnixTimestamp64Nano({date_end:DateTime64(9, 'UTC')}) AS end_ns,
    {part:UInt32} * 1000000000 AS part_ns,
    (
        SELECT arraySort(groupUniqArray(toString(run_id)))
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ) AS run_ids,
    ends AS
    (
        SELECT
            conid, run_id, epoch,
            toUnixTimestamp64Nano(end) AS spell_end,
            toUnixTimestamp64Nano(ifNull(previous_end, toDateTime64(0, 9, 'UTC')))
                AS previous_spell_end
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ),
    -- Integers instead of Nullable decimals: no touch has the price 0 and the size 0.
    prices AS
    (
        SELECT
            trade_date, conid, run_id, seq, epoch,
            toUnixTimestamp64Nano(received_at) AS at,
            reinterpret(assumeNotNull(best_bid), 'Int64') AS bid,
            reinterpret(assumeNotNull(best_ask), 'Int64') AS ask,
            ifNull(bid_size, 0) AS bid_size,
            ifNull(ask_size, 0) AS ask_size,
            two_sided, crossed, locked, complete, suspect,
            best_bid IS NULL AND best_ask IS NULL AS is_empty,
            if(two_sided, ask - bid, 0) AS spread
        FROM (/* include states.sql */)
    ),
    linked AS
    (
        SELECT
            *,
            leadInFrame(at) OVER around AS next_at,
            leadInFrame(epoch) OVER around = epoch AS followed,
            lagInFrame(at) OVER around AS previous_at,
            lagInFrame(epoch) OVER around = epoch AS following,
            lagInFrame(two_sided) OVER around AS previous_two_sided,
            lagInFrame(spread) OVER around AS previous_spread
        FROM prices
        WINDOW around AS (
            PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
        )
    ),
    lasting AS
    (
        SELECT
            *,
            bitOr(
                bitShiftLeft(toUInt128(at), 64),
                bitOr(bitShiftLeft(toUInt64(indexOf(run_ids, toString(run_id))), 48), seq)
            ) AS place,
            intDiv(at, part_ns) AS part_no,
            greatest(begin_ns, part_no * part_ns) AS part_begin,
            least(end_ns, (part_no + 1) * part_ns) AS part_end,
            if(followed, next_at, spell_end) AS until,
            two_sided AND until > part_end AS leaves,
            if(two_sided, greatest(0, least(until, part_end) - at), 0) AS held,
            previous_two_sided AND previous_at < part_begin AS carried,
            previous_spread < 0 AS previous_crossed,
            if(following, at, previous_spell_end) AS carried_until,
            if(carried, greatest(0, least(carried_until, part_end) - part_begin), 0) AS held_before
        FROM linked
        LEFT JOIN ends USING (conid, run_id, epoch)
        WHERE trade_date = {trade_date:Date}
    )
SELECT
    conid, part_no,
    count() AS frames,
    countIf(two_sided) AS states,
    countIf(is_empty) AS empty_states,
    countIf(crossed) AS crossed_states,
    countIf(locked) AS locked_states,
    countIf(NOT complete) AS warm_up_states,
    max(suspect OR crossed) AS any_suspect,
    max(previous_crossed AND held_before > 0) AS any_crossed_before,
    min(at) AS first_at,
    max(at) AS last_at,
    argMinIf(bid + ask, place, two_sided) AS open_twice,
    argMaxIf(bid + ask, place, two_sided) AS close_twice,
    maxIf(bid + ask, two_sided) AS high_twice,
    minIf(bid + ask, two_sided) AS low_twice,
    argMax(bid, place) AS bid_close,
    argMax(ask, place) AS ask_close,
    argMax(bid_size, place) AS bid_size_close,
    argMax(ask_size, place) AS ask_size_close,
    sum(toInt128(spread)) AS spreads,
    maxIf(spread, two_sided) AS widest,
    sum(held + held_before) AS time,
    sum(toInt128(spread) * held + toInt128(previous_spread) * held_before) AS weight,
    sumIf(held, crossed) + sumIf(held_before, previous_crossed) AS crossed_time,
    sumIf(held, NOT leaves) AS inside_time,
    sumIf(toInt128(spread) * held, NOT leaves) AS inside_weight,
    sumIf(held, crossed AND NOT leaves) AS inside_crossed,
    groupArrayIf((at, until, spread), leaves) AS leaving,
    groupArrayIf((previous_at, carried_until, previous_spread), carried) AS arriving
FROM lasting
GROUP BY conid, part_no
