-- Grain: one row per paper user with a streamer run that started at or after {since}.
-- Inputs: stream_events, frames. Order: none. Read only.
-- A run's own count of received frames stands in its run_stopped event; of a run that was killed,
-- the complete records of its spool stand in the run_recovered event of the next run.
WITH
    runs AS
    (
        SELECT DISTINCT paper_user, run_id
        FROM stream_events
        WHERE kind = 'run_started' AND at >= toDateTime64({since:Float64}, 3)
    ),
    counted AS
    (
        SELECT
            if(kind = 'run_recovered', JSONExtractString(detail, 'run_id'), run_id) AS run_id,
            if(kind = 'run_recovered', 'frames', 'received') AS received_key,
            if(kind = 'run_recovered', 'frames', 'spooled') AS spooled_key,
            max(JSONExtractUInt(detail, received_key)) AS received,
            max(JSONExtractUInt(detail, spooled_key)) AS spooled
        FROM stream_events
        WHERE kind IN ('run_stopped', 'run_recovered')
        GROUP BY run_id, received_key, spooled_key
    ),
    stored AS
    (
        SELECT run_id, uniqExact(seq) AS stored, count() - uniqExact(seq) AS duplicates
        FROM frames
        WHERE run_id IN (SELECT run_id FROM runs)
        GROUP BY run_id
    )
SELECT
    runs.paper_user AS paper_user,
    count() AS runs,
    countIf(counted.run_id != '') AS runs_ended,
    if(runs_ended = runs, sum(counted.received), NULL) AS received,
    if(runs_ended = runs, sum(counted.spooled), NULL) AS spooled,
    sum(stored.stored) AS stored,
    sum(stored.duplicates) AS duplicates
FROM runs
LEFT JOIN counted ON counted.run_id = runs.run_id
LEFT JOIN stored ON stored.run_id = runs.run_id
GROUP BY runs.paper_user
ORDER BY paper_user
