-- Parts: the states of a trade date, reduced to spans of `part` seconds of one contract.
--
-- Grain:   one row per (conid, span of `part` seconds) in which at least one book state exists.
-- Inputs:  measures.sql, hence ladder_frames; the spells, gaps and suspect windows of
--          the same build.
-- Order:   states of a part are ordered by (received_at, run_id, seq), always as one number, which
--          is several times faster than a tuple. What follows a state is decided by seq inside
--          (conid, run_id).
-- How:     a state holds until the next one of its run and epoch, the last one of an epoch until
--          the end of its spell. A part owns its states up to its own end, and the time before its
--          first state for which a state of an earlier part still held. So `weights` (measure x
--          time) and `times` (for which the measure was known) are those of a bar as long as the
--          part; Longer bars need besides, one by one, the states that leave the part and those
--          that were carried into it. All sums are of integers, so no order of adding can change them.
--          Order flow and trades are told by steps: from a state to the next of its run and epoch,
--          neither of them suspect or crossed, no gap and no suspect window of the run between. A
--          step belongs to the part of its later state. Order flow at the touch is that of Cont,
--          Kukanov and Stoikov (2014); a step in which the last trade changes is a trade.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, read_from Date, own_rows Bool, date_begin and date_end DateTime64(9),
--          spells, gaps and suspects Identifier, part UInt32 (1, 5 or 60).
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
    spans AS (/* include spans.sql */),
    gap_spans AS
    (
        SELECT conid AS gap_conid, span_begin AS gap_begin, span_end AS gap_end
        FROM spans
        WHERE run_id = ''
    ),
    suspect_spans AS
    (
        SELECT
            conid AS suspect_conid, run_id AS suspect_run,
            span_begin AS suspect_begin, span_end AS suspect_end
        FROM spans
        WHERE run_id != ''
    ),
    linked AS
    (
        SELECT
            *,
            leadInFrame(at) OVER around AS next_at,
            leadInFrame(epoch) OVER around = epoch AS followed,
            lagInFrame(at) OVER around AS previous_at,
            lagInFrame(epoch) OVER around = epoch AS following,
            lagInFrame(NOT is_empty) OVER around AS previous_shows,
            lagInFrame(crossed) OVER around AS previous_crossed,
            lagInFrame(suspect) OVER around AS previous_suspect,
            lagInFrame(two_sided) OVER around AS previous_two_sided,
            lagInFrame(bid) OVER around AS previous_bid,
            lagInFrame(ask) OVER around AS previous_ask,
            lagInFrame(bid_size) OVER around AS previous_bid_size,
            lagInFrame(ask_size) OVER around AS previous_ask_size,
            lagInFrame(last_known) OVER around AS previous_last_known,
            lagInFrame(last_price) OVER around AS previous_last_price,
            lagInFrame(last_size) OVER around AS previous_last_size,
            -- Zeros where there is no state before.
            arrayResize(lagInFrame(measures) OVER around, length(measures)) AS previous_measures,
            arrayResize(lagInFrame(known) OVER around, length(known)) AS previous_known
        FROM (/* include measures.sql */)
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
            NOT is_empty AND until > part_end AS leaves,
            greatest(0, least(until, part_end) - at) AS held,
            previous_shows AND previous_at < part_begin AS carried,
            if(following, at, previous_spell_end) AS carried_until,
            if(carried, greatest(0, least(carried_until, part_end) - part_begin), 0) AS held_before,
            following
                AND NOT (suspect OR crossed OR previous_suspect OR previous_crossed)
                AND gap_end <= previous_at AND suspect_end <= previous_at AS compared,
            suspect OR crossed OR suspect_end > at AS doubted,
            two_sided AND bid + ask > 0 AND NOT doubted AS sound,
            compared AND two_sided AND previous_two_sided AS flows,
            if(
                flows,
                if(bid >= previous_bid, toInt64(bid_size), 0)
                    - if(bid <= previous_bid, toInt64(previous_bid_size), 0)
                    - if(ask <= previous_ask, toInt64(ask_size), 0)
                    + if(ask >= previous_ask, toInt64(previous_ask_size), 0),
                0
            ) AS order_flow,
            compared AND last_known AND previous_last_known AS last_compared,
            last_compared AND (last_price, last_size) != (previous_last_price, previous_last_size)
                AS traded
        FROM linked
        LEFT JOIN ends USING (conid, run_id, epoch)
        ASOF LEFT JOIN gap_spans ON conid = gap_conid AND at > gap_begin
        ASOF LEFT JOIN suspect_spans
            ON conid = suspect_conid AND toString(run_id) = suspect_run AND at >= suspect_begin
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
    argMax(bid_depth_5, place) AS bid_depth_5_close,
    argMax(bid_depth_10, place) AS bid_depth_10_close,
    argMax(ask_depth_5, place) AS ask_depth_5_close,
    argMax(ask_depth_10, place) AS ask_depth_10_close,
    sum(toInt128(spread)) AS spreads,
    sum(measures[2]) AS spreads_in_ticks,
    countIf(positive) AS positive_states,
    sum(toInt128(measures[3])) AS spreads_in_basis_points,
    maxIf(spread, two_sided) AS widest,
    countIf(doubted) AS suspect_states,
    countIf(sound) AS sound_states,
    argMaxIf(bid + ask, place, sound) AS sound_twice,
    argMaxIf(at, place, sound) AS sound_at,
    sum(order_flow) AS order_flows,
    countIf(flows) AS order_flow_steps,
    countIf(last_compared) AS last_steps,
    countIf(traded) AS trades,
    argMinIf(last_price, place, traded) AS trade_open,
    argMaxIf(last_price, place, traded) AS trade_close,
    maxIf(last_price, traded) AS trade_high,
    minIf(last_price, traded) AS trade_low,
    sumForEach(
        arrayMap(
            (own, before) -> toInt128(own) * held + toInt128(before) * held_before,
            measures, previous_measures
        )
    ) AS weights,
    sumForEach(
        arrayMap((own, before) -> own * held + before * held_before, known, previous_known)
    ) AS times,
    groupArrayIf((at, until, measures, known), leaves) AS leaving,
    groupArrayIf((previous_at, carried_until, previous_measures, previous_known), carried)
        AS arriving
FROM lasting
GROUP BY conid, part_no
