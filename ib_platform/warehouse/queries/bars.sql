-- Bars of a trade date: what table `bars` holds.
--
-- Grain:   one row per (conid, bar_size, bar_start) in which at least one book state exists.
-- Inputs:  the sums of bar_sums.sql, staged, hence ladder_frames; the spells, gaps and suspect windows
--          of the same build; the volumes of volumes.sql, staged, hence quote_frames; the verdicts of
--          the report of the same build.
-- How:     sums become the columns of the table, spans become flags. The volume of a bar is that of
--          the steps of volumes.sql that belong to it: those with both readings in the bar, and the
--          followed one that ends with the first reading in it.
-- Repeat:  the same inputs give the same rows, `built_at` aside.
-- Params:  trade_date Date, date_begin DateTime64(9), known_until DateTime64(9), bar_sums, spells, gaps,
--          suspects and volumes Identifier, verdict_conids Array(UInt64), verdicts Array(String),
--          inputs_version String, built_at DateTime64(3).
WITH
    toUnixTimestamp64Nano({known_until:DateTime64(9, 'UTC')}) AS known_ns,
    1000000000 AS second,
    -- Prices travel as integers of a billionth, mids as twice the mid.
    billionths -> reinterpret(billionths, 'Decimal(18, 9)') AS price,
    (time, instant, reached, covering) -> reached + covering * (time - instant) AS covered_at,
    -- By the order of bar_sums.sql.
    index -> if(times[index] > 0, toFloat64(weights[index]) / times[index], NULL) AS by_time,
    coverage AS (/* include coverage.sql */),
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
    sums.conid AS conid,
    CAST(
        transform(
            sums.size,
            [1, 5, 60, 300, 900, 3600, 86400],
            ['1s', '5s', '1m', '5m', '15m', '1h', '1d'],
            ''
        )
        AS Enum8('1s' = 1, '1m' = 2, '5m' = 3, '1h' = 4, '1d' = 5, '5s' = 6, '15m' = 7)
    ) AS bar_size,
    toDateTime(intDiv(sums.bar_begin, second), 'UTC') AS bar_start,
    toDateTime(intDiv(sums.bar_end, second), 'UTC') AS bar_end,
    sums.frames AS frames,
    sums.states AS states,
    frames - states - empty_states AS one_sided_states,
    sums.empty_states AS empty_states,
    sums.crossed_states AS crossed_states,
    sums.locked_states AS locked_states,
    sums.warm_up_states AS warm_up_states,
    fromUnixTimestamp64Nano(first_at, 'UTC') AS first_received_at,
    fromUnixTimestamp64Nano(last_at, 'UTC') AS last_received_at,
    if(states > 0, price(intDiv(open_twice, 2)), NULL) AS mid_open,
    if(states > 0, price(intDiv(high_twice, 2)), NULL) AS mid_high,
    if(states > 0, price(intDiv(low_twice, 2)), NULL) AS mid_low,
    if(states > 0, price(intDiv(close_twice, 2)), NULL) AS mid_close,
    if(sums.bid_size_close = 0, NULL, price(sums.bid_close)) AS bid_close,
    if(sums.ask_size_close = 0, NULL, price(sums.ask_close)) AS ask_close,
    nullIf(sums.bid_size_close, 0) AS bid_size_close,
    nullIf(sums.ask_size_close, 0) AS ask_size_close,
    if(states > 0, toFloat64(spreads) / states / 1e9, NULL) AS spread_mean,
    by_time(1) / 1e9 AS spread_time_weighted,
    if(states > 0, price(widest), NULL) AS spread_max,
    times[1] / 1e9 AS two_sided_seconds,
    toFloat64(weights[13]) / 1e9 AS crossed_seconds,
    (toFloat64(ask_close) * bid_size_close + toFloat64(bid_close) * ask_size_close)
        / touch_depth_close AS microprice_close,
    toInt64(bid_size_close) + ask_size_close AS touch_depth_close,
    (bid_size_close - ask_size_close) / touch_depth_close AS imbalance_close,
    if(states > 0, spreads_in_ticks / states, NULL) AS spread_mean_ticks,
    by_time(2) AS spread_time_weighted_ticks,
    if(positive_states > 0, toFloat64(spreads_in_basis_points) / positive_states / 1e9, NULL)
        AS spread_mean_basis_points,
    by_time(3) / 1e9 AS spread_time_weighted_basis_points,
    by_time(4) AS bid_depth_1_time_weighted,
    by_time(5) AS bid_depth_5_time_weighted,
    by_time(6) AS bid_depth_10_time_weighted,
    by_time(7) AS ask_depth_1_time_weighted,
    by_time(8) AS ask_depth_5_time_weighted,
    by_time(9) AS ask_depth_10_time_weighted,
    by_time(10) / 1e9 AS imbalance_1_time_weighted,
    by_time(11) / 1e9 AS imbalance_5_time_weighted,
    by_time(12) / 1e9 AS imbalance_10_time_weighted,
    nullIf(sums.bid_depth_5_close, -1) AS bid_depth_5_close,
    nullIf(sums.bid_depth_10_close, -1) AS bid_depth_10_close,
    nullIf(sums.ask_depth_5_close, -1) AS ask_depth_5_close,
    nullIf(sums.ask_depth_10_close, -1) AS ask_depth_10_close,
    (bid_depth_5_close - ask_depth_5_close) / (bid_depth_5_close + ask_depth_5_close)
        AS imbalance_5_close,
    (bid_depth_10_close - ask_depth_10_close) / (bid_depth_10_close + ask_depth_10_close)
        AS imbalance_10_close,
    times[11] / 1e9 AS depth_5_seconds,
    times[12] / 1e9 AS depth_10_seconds,
    if(order_flow_steps > 0, order_flows, NULL) AS order_flow_imbalance,
    sums.order_flow_steps AS order_flow_steps,
    if(trades > 0, price(sums.trade_open), NULL) AS last_trade_open,
    if(trades > 0, price(sums.trade_high), NULL) AS last_trade_high,
    if(trades > 0, price(sums.trade_low), NULL) AS last_trade_low,
    if(trades > 0, price(sums.trade_close), NULL) AS last_trade_close,
    if(last_steps > 0, trades, NULL) AS last_trade_changes,
    (
        covered_at(sums.bar_end, ends.instant, ends.reached, ends.covering)
        - covered_at(sums.bar_begin, begins.instant, begins.reached, begins.covering)
    ) / 1e9 AS covered_seconds,
    warm_up_states / frames AS warm_up_share,
    sums.suspect_states AS suspect_states,
    suspect_states / frames AS suspect_share,
    if(sums.size >= 3600 AND returns > 0, toFloat64(squared_returns) / 1e18, NULL) AS realised_variance,
    if(sums.size >= 3600, returns, NULL) AS realised_variance_returns,
    -- The reading before the bar, and whether the step behind it belongs to no single bar.
    NOT opening.next_followed AND opening.next_at < sums.bar_end AS breaks_in,
    closing.known_length + closing.next_followed * (sums.bar_end - closing.at)
        - opening.known_length - opening.next_followed * (sums.bar_begin - opening.at)
        - breaks_in * opening.next_length AS volume_ns,
    if(
        volume_ns > 0,
        closing.total - opening.total - breaks_in * opening.next_change,
        NULL
    ) AS volume,
    volume_ns / 1e9 AS volume_seconds,
    nullIf({verdicts:Array(String)}[indexOf({verdict_conids:Array(UInt64)}, sums.conid)], '')
        AS verdict,
    closed AND NOT cut AND NOT gap AND NOT suspect
        AND islands.span_end >= sums.bar_end AND islands.span_begin <= sums.bar_begin
        AND islands.span_end > 0 AS complete,
    sums.bar_end <= known_ns AS closed,
    warm_up_states > 0 AS warm_up,
    states < frames AS one_sided,
    any_suspect_state OR suspect_spans.span_end > sums.bar_begin AS suspect,
    gap_spans.span_end > sums.bar_begin AS gap,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM
(
    SELECT *, size < 86400 AND (bar_end - bar_begin) < size * second AS cut
    FROM {bar_sums:Identifier}
) AS sums
LEFT JOIN (/* include returns.sql */) AS hours
    ON sums.conid = hours.conid AND sums.size = hours.size AND sums.bar_begin = hours.bar_begin
ASOF LEFT JOIN gap_spans
    ON sums.conid = gap_spans.conid AND sums.bar_end > gap_spans.span_begin
ASOF LEFT JOIN suspect_spans
    ON sums.conid = suspect_spans.conid AND sums.bar_end > suspect_spans.span_begin
ASOF LEFT JOIN islands
    ON sums.conid = islands.conid AND sums.bar_begin >= islands.span_begin
ASOF LEFT JOIN coverage AS begins
    ON sums.conid = begins.covered_conid AND sums.bar_begin >= begins.instant
ASOF LEFT JOIN coverage AS ends
    ON sums.conid = ends.covered_conid AND sums.bar_end >= ends.instant
ASOF LEFT JOIN {volumes:Identifier} AS opening
    ON sums.conid = opening.conid AND sums.bar_begin > opening.at
ASOF LEFT JOIN {volumes:Identifier} AS closing
    ON sums.conid = closing.conid AND sums.bar_end > closing.at
