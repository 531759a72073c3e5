-- Spans of a contract's time that bars keep apart: gaps, and the suspect windows of one run, but for
-- those of a crossed book, which the states tell themselves.
--
-- Grain:   one row per gap (run_id is empty) and per suspect window of the trade date.
-- Inputs:  the gaps and suspect windows of the same build.
-- How:     `span_end` is the latest end of all spans of the contract and run that begin no later, so
--          that one look at the last span before an instant tells whether any of them reaches it.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, gaps and suspects Identifier.
SELECT
    conid, run_id, span_begin,
    max(own_end) OVER (PARTITION BY conid, run_id ORDER BY span_begin) AS span_end
FROM
(
    SELECT
        assumeNotNull(conid) AS conid,
        '' AS run_id,
        toUnixTimestamp64Nano(begin) AS span_begin,
        toUnixTimestamp64Nano(end) AS own_end
    FROM {gaps:Identifier}
    WHERE trade_date = {trade_date:Date} AND conid IS NOT NULL
    UNION ALL
    SELECT
        conid,
        toString(run_id) AS run_id,
        toUnixTimestamp64Nano(begin) AS span_begin,
        toUnixTimestamp64Nano(end) AS own_end
    FROM {suspects:Identifier}
    WHERE trade_date = {trade_date:Date} AND cause != 'crossed_book'
)
