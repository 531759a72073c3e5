-- Figures of the quality checks that frames of any topic show, by paper user.
--
-- Grain:   one row per paper user with a frame on the date.
-- Inputs:  frames.
-- Order:   clocks by seq inside a run.
-- How:     an unknown topic, and text whose shape is not the known one, is a drift; every other
--          reason why a frame could not be decoded is a bad value of its contract.
-- Repeat:  a pure function of its inputs.
-- Params:  trade_date Date, topics Array(String): the known ones; shapes Array(String): reasons of
--          the decoder that tell of another shape; step_ns Int64: a wall clock that falls back by
--          no more against the monotonic one was not set; sampled UInt64, ladder_keys and
--          quote_keys Array(String).
SELECT
    paper_user,
    count() AS frames,
    countIf(topic = 'smd') AS quotes,
    countIf(follows AND monotonic < previous_monotonic) AS monotonic_steps,
    countIf(
        follows AND at < previous_at
            AND previous_at - at + monotonic - previous_monotonic > {step_ns:Int64}
    ) AS wall_steps,
    countIf(
        NOT has({topics:Array(String)}, topic)
            OR has({shapes:Array(String)}, ifNull(decode_error, ''))
    ) AS drifted,
    groupUniqArrayIf(5)(
        if(decode_error IS NULL, concat('topic ', topic), toString(assumeNotNull(decode_error))),
        NOT has({topics:Array(String)}, topic)
            OR has({shapes:Array(String)}, ifNull(decode_error, ''))
    ) AS drifts,
    sumMapIf(
        map(ifNull(conid, 0), 1),
        decode_error IS NOT NULL AND NOT has({shapes:Array(String)}, assumeNotNull(decode_error))
            AND has({topics:Array(String)}, topic)
    ) AS bad_values,
    any(unknown_keys) AS unknown_keys
FROM
(
    SELECT
        paper_user, topic, conid, decode_error,
        toUnixTimestamp64Nano(received_at) AS at,
        toInt64(monotonic_ns) AS monotonic,
        lagInFrame(at) OVER before AS previous_at,
        lagInFrame(monotonic) OVER before AS previous_monotonic,
        row_number() OVER before > 1 AS follows
    FROM frames FINAL
    WHERE trade_date = {trade_date:Date}
    WINDOW before AS (
        PARTITION BY paper_user, run_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    )
) AS numbered
LEFT JOIN
(
    SELECT
        paper_user,
        arraySort(groupUniqArrayArray(arrayFilter(
            key -> NOT has(
                if(topic = 'sbd', {ladder_keys:Array(String)}, {quote_keys:Array(String)}), key
            ) AND NOT (topic = 'smd' AND match(key, '^[0-9]+$')),
            extractAll(payload, '"([^"\\\\]+)"\\s*:')
        ))) AS unknown_keys
    FROM
    (
        SELECT paper_user, topic, payload
        FROM frames
        WHERE trade_date = {trade_date:Date} AND topic IN ('sbd', 'smd') AND decode_error IS NULL
        ORDER BY paper_user, run_id, seq
        LIMIT {sampled:UInt64} BY paper_user, run_id, connection, topic
    )
    GROUP BY paper_user
) AS keys USING (paper_user)
GROUP BY paper_user
ORDER BY paper_user
