-- What was told of a run on a later trade date than the run's first: how it ended, where its spool was damaged.
--
-- Grain:   one row per event. `concerned_from`: the first trade date that it may change, the last of the
--          run where it tells of its end, the first where it tells of damage. `last_on`: the run's last.
-- Inputs:  stream_events of all dates: a spool may wait for weeks until it is loaded; frames of the
--          named runs.
-- Params:  none.
WITH
    told AS
    (
        SELECT JSONExtractString(detail, 'run_id') AS named_run, kind, trade_date AS told_on
        FROM stream_events FINAL
        WHERE kind IN ('run_recovered', 'spool_torn')
    ),
    named AS
    (
        SELECT run_id, min(trade_date) AS first_on, max(trade_date) AS last_on
        FROM
        (
            SELECT run_id, trade_date FROM frames
            WHERE run_id IN (SELECT named_run FROM told)
            UNION ALL
            SELECT run_id, trade_date FROM stream_events
            WHERE run_id IN (SELECT named_run FROM told)
        ) AS rows_of_named
        GROUP BY run_id
    )
SELECT
    run_id,
    if(kind = 'run_recovered', last_on, first_on) AS concerned_from,
    last_on,
    told_on
FROM told
INNER JOIN named ON named_run = run_id
WHERE told_on > concerned_from
ORDER BY run_id, told_on
