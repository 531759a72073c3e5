-- Grain: one row per contract of the newest assignment.
-- Inputs: assignments, contracts, depth, bars, quality_report, stream_events. Read only.
-- Only runs, bars and reports of the span since {since} count.
WITH
    toDateTime64({since:Float64}, 3) AS since,
    assigned AS
    (
        SELECT contract, paper_user
        FROM (SELECT contracts, paper_users FROM assignments FINAL ORDER BY generation DESC LIMIT 1)
        ARRAY JOIN contracts AS contract, paper_users AS paper_user
    ),
    resolved AS
    (
        SELECT contract, argMax(conid, resolved_at) AS conid FROM contracts GROUP BY contract
    ),
    runs AS
    (
        SELECT DISTINCT run_id FROM stream_events WHERE kind = 'run_started' AND at >= since
    ),
    stored AS
    (
        SELECT conid, uniqExact(run_id, seq) AS ladder_frames
        FROM ladder_frames
        WHERE run_id IN (SELECT run_id FROM runs)
        GROUP BY conid
    ),
    states AS
    (
        SELECT
            conid,
            count() AS depth_rows,
            countIf(two_sided) AS two_sided,
            countIf(crossed) AS crossed,
            countIf(locked) AS locked,
            uniqExact(run_id, epoch) AS epochs,
            uniqExact(run_id, epoch, window) AS windows
        FROM depth
        WHERE run_id IN (SELECT run_id FROM runs)
        GROUP BY conid
    ),
    built AS
    (
        SELECT conid, sumMap(map(toString(bar_size), 1)) AS bars,
            countIf(bar_size = '1m' AND complete) AS complete_1m_bars
        FROM bars
        WHERE last_received_at >= since
        GROUP BY conid
    ),
    missing AS
    (
        SELECT
            contract,
            groupArray((
                cause,
                intDiv(toUnixTimestamp64Nano(end) - toUnixTimestamp64Nano(begin), 1000000) / 1000
            )) AS gaps
        FROM gaps
        WHERE end >= since
        GROUP BY contract
    ),
    judged AS
    (
        SELECT contract, argMax(verdict, built_at) AS verdict, argMax(reasons, built_at) AS reasons
        FROM quality_report
        WHERE built_at >= since
        GROUP BY contract
    )
SELECT
    assigned.contract AS contract,
    assigned.paper_user AS paper_user,
    nullIf(resolved.conid, 0) AS conid,
    stored.ladder_frames AS ladder_frames,
    states.depth_rows AS depth_rows,
    states.two_sided AS two_sided,
    states.crossed AS crossed,
    states.locked AS locked,
    states.epochs AS epochs,
    states.windows AS windows,
    built.bars AS bars,
    built.complete_1m_bars AS complete_1m_bars,
    missing.gaps AS gaps,
    nullIf(toString(judged.verdict), '') AS verdict,
    judged.reasons AS reasons
FROM assigned
LEFT JOIN resolved ON resolved.contract = assigned.contract
LEFT JOIN stored ON stored.conid = resolved.conid
LEFT JOIN states ON states.conid = resolved.conid
LEFT JOIN built ON built.conid = resolved.conid
LEFT JOIN missing ON missing.contract = assigned.contract
LEFT JOIN judged ON judged.contract = assigned.contract
ORDER BY contract
