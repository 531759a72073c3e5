-- States of bars: the book states of a trade date with their measures, how long each one held, and
-- what happened on the way to it.
--
-- Grain:   one row per book state of the trade date, plus the last state before it of each run that
--          has a state in it (`own_date` tells them apart).
-- Inputs:  measures.sql, hence ladder_frames; the spells, gaps and suspect windows of the same build.
-- Order:   what follows a state is decided by seq inside (conid, run_id). `place` orders the states
--          of a contract by (received_at, run_id, seq): one number, which is several times faster
--          than a tuple.
-- How:     a state holds as long as depth.sql says, one before the border as long as earlier.sql and
--          the next one of its epoch say. Of one whose clock was set back, only the next one tells.
--          Order flow and trades are told by steps: from a state to the next of its run and epoch,
--          neither of them suspect or crossed, no gap and no suspect window of the run between.
--          Order flow at the touch is that of Cont, Kukanov and Stoikov (2014); a step in which the
--          last trade changes is a trade.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, depth, earlier, spells, gaps and suspects Identifier.
WITH
    (
        SELECT arraySort(groupUniqArray(toString(run_id)))
        FROM {spells:Identifier}
        WHERE trade_date = {trade_date:Date}
    ) AS run_ids,
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
            trade_date = {trade_date:Date} AS own_date,
            leadInFrame(true) OVER around AS has_next,
            leadInFrame(at) OVER around AS next_at,
            has_next AND leadInFrame(epoch) OVER around = epoch AS followed,
            leadInFrame(own_date) OVER around AS next_own_date,
            lagInFrame(at) OVER around AS previous_at,
            lagInFrame(epoch) OVER around = epoch AS following,
            lagInFrame(crossed) OVER around AS previous_crossed,
            lagInFrame(suspect) OVER around AS previous_suspect,
            lagInFrame(two_sided) OVER around AS previous_two_sided,
            lagInFrame(bid) OVER around AS previous_bid,
            lagInFrame(ask) OVER around AS previous_ask,
            lagInFrame(bid_size) OVER around AS previous_bid_size,
            lagInFrame(ask_size) OVER around AS previous_ask_size,
            lagInFrame(last_known) OVER around AS previous_last_known,
            lagInFrame(last_price) OVER around AS previous_last_price,
            lagInFrame(last_size) OVER around AS previous_last_size
        FROM (/* include measures.sql */) AS measured
        WINDOW around AS (
            PARTITION BY conid, run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
        )
    )
SELECT
    conid, own_date, at, has_next AND next_own_date AS has_next, next_at,
    at + ifNull(in_force_ns, if(followed, next_at - at, 0)) AS told_until,
    if(followed, least(next_at, told_until), told_until) AS until,
    bitOr(
        bitShiftLeft(toUInt128(at), 64),
        bitOr(bitShiftLeft(toUInt64(indexOf(run_ids, toString(run_id))), 48), seq)
    ) AS place,
    bid, ask, bid_size, ask_size, two_sided, crossed, locked, complete, suspect, is_empty, positive,
    spread, spread_ticks, spread_bp,
    bid_1, bid_5, bid_10, ask_1, ask_5, ask_10, imbalance_1, imbalance_5, imbalance_10,
    bid_1_known, bid_5_known, bid_10_known, ask_1_known, ask_5_known, ask_10_known,
    both_1_known, both_5_known, both_10_known,
    last_price,
    following
        AND NOT (suspect OR crossed OR previous_suspect OR previous_crossed)
        AND gap_end <= previous_at AND suspect_end <= previous_at AS compared,
    -- In the pre-open orders that gather cross each other, and rightly so.
    crossed AND ifNull(phase = 'open', true) AS crossed_while_open,
    suspect OR crossed_while_open OR suspect_end > at AS doubted,
    two_sided AND bid + ask > 0 AND NOT doubted AND NOT crossed AS sound,
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
    last_compared AND (last_price, last_size) != (previous_last_price, previous_last_size) AS traded
FROM linked
ASOF LEFT JOIN gap_spans ON conid = gap_conid AND at > gap_begin
ASOF LEFT JOIN suspect_spans
    ON conid = suspect_conid AND toString(run_id) = suspect_run AND at >= suspect_begin
WHERE own_date OR next_own_date
