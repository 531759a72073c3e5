-- Grain: one row per contract of the newest assignment: its newest 1-minute bar and verdict.
-- Inputs: assignments, contracts, bars, quality_report. Read only.
WITH
    resolved AS
    (
        SELECT contract, argMax(conid, resolved_at) AS conid FROM contracts GROUP BY contract
    ),
    newest AS
    (
        SELECT conid, max(bar_start) AS last_start, argMax(bars.mid_close, bar_start) AS last_mid
        FROM bars
        WHERE bar_size = '1m' AND last_received_at >= toDateTime64({since:Float64}, 3)
        GROUP BY conid
    ),
    judged AS
    (
        SELECT contract, argMax(verdict, built_at) AS verdict
        FROM quality_report
        WHERE built_at >= toDateTime64({since:Float64}, 3)
        GROUP BY contract
    )
SELECT
    resolved.contract AS contract,
    if(newest.conid = 0, NULL, newest.last_start) AS last_bar,
    newest.last_mid AS mid_close,
    nullIf(toString(judged.verdict), '') AS verdict
FROM resolved
LEFT JOIN newest ON newest.conid = resolved.conid
LEFT JOIN judged ON judged.contract = resolved.contract
ORDER BY contract
