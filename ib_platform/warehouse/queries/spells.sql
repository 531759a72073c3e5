-- Spells: how long each subscription of a ladder was followed.
--
-- Grain:   one row per (conid, run_id, epoch) that touches the trade date, clipped to it.
-- Inputs:  ladder_frames, frames (a run's last frame of any topic), stream_events (the first
--          disconnection, loss of the session or unsubscription after the epoch's last ladder frame, by `after_seq`;
--          a disconnection ends it with the last frame of any topic before, not when it was noticed).
-- Order:   epochs of a run follow each other; a re-request ends the old one with the new full
--          frame. Where the clock was set back in an epoch, its spell may be empty.
-- Repeat:  a pure function of its inputs up to the next trade date, which shows who lived on.
-- Params:  trade_date Date, read_from Date, read_to Date, date_begin and date_end DateTime64(9),
--          inputs_version String, built_at DateTime64(3).
WITH
    epochs AS
    (
        SELECT
            conid, paper_user, run_id, epoch,
            argMin(received_at, seq) AS first_at,
            argMax(received_at, seq) AS last_at,
            min(seq) AS first_seq,
            max(seq) AS last_seq
        FROM ladder_frames
        WHERE window > 0 AND trade_date BETWEEN {read_from:Date} AND {trade_date:Date}
        GROUP BY conid, paper_user, run_id, epoch
    ),
    followed AS
    (
        SELECT
            *,
            leadInFrame(toNullable(first_at)) OVER (
                PARTITION BY conid, run_id ORDER BY epoch
                ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
            ) AS next_at,
            leadInFrame(toNullable(first_seq)) OVER (
                PARTITION BY conid, run_id ORDER BY epoch
                ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
            ) AS next_seq
        FROM epochs
    ),
    runs AS
    (
        SELECT run_id AS alive_run, argMax(received_at, seq) AS run_last_at
        FROM frames
        WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
        GROUP BY alive_run
    ),
    recorded AS
    (
        SELECT run_id AS event_run, after_seq, event_no, at AS noticed_at, kind, cause,
            conid AS event_conid
        FROM stream_events FINAL
        WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
          AND (
              kind IN ('disconnected', 'unsubscribed')
              OR kind = 'session_changed' AND cause IS NOT NULL
          )
    ),
    -- The last frame of any topic before a disconnection: a dead connection is noticed late.
    heard AS
    (
        SELECT run_id AS heard_run, seq + 1 AS heard_before, received_at AS heard_at
        FROM frames
        WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
          AND (run_id, seq) IN
              (SELECT event_run, after_seq - 1 FROM recorded
               WHERE kind = 'disconnected' AND after_seq > 0)
    ),
    endings AS
    (
        SELECT event_run, after_seq, event_no, kind, cause, event_conid,
            if(kind = 'disconnected' AND heard_run != '', least(noticed_at, heard_at), noticed_at)
                AS at
        FROM recorded
        LEFT JOIN heard ON event_run = heard_run AND after_seq = heard_before
    ),
    -- The first ending of each epoch: few epochs meet few endings, so a plain join will do.
    ended AS
    (
        SELECT
            conid AS ended_conid, run_id AS ended_run, epoch AS ended_epoch,
            argMin((at, kind, cause, after_seq), event_no) AS ending
        FROM followed
        INNER JOIN endings ON run_id = event_run
        WHERE after_seq > last_seq AND (kind != 'unsubscribed' OR event_conid = conid)
        GROUP BY ended_conid, ended_run, ended_epoch
    ),
    resolved AS
    (
        SELECT
            conid, paper_user, run_id, epoch, first_at, last_at, next_at,
            greatest(ifNull(run_last_at, last_at), last_at) AS alive_until,
            if(ended_run = '', NULL, ending.1) AS event_at,
            -- By numbers: the clock may have been set in between.
            multiIf(
                event_at IS NOT NULL AND ending.4 <= ifNull(next_seq, ending.4), ending.2,
                next_at IS NOT NULL, 'next_epoch',
                'run_end'
            ) AS ended_by,
            if(ended_by IN ('next_epoch', 'run_end'), NULL, ending.3) AS cause,
            greatest(
                last_at,
                multiIf(
                    ended_by = 'next_epoch', assumeNotNull(next_at),
                    ended_by = 'run_end', alive_until,
                    assumeNotNull(event_at)
                )
            ) AS ended_at
        FROM followed
        LEFT JOIN runs ON run_id = alive_run
        LEFT JOIN ended ON conid = ended_conid AND run_id = ended_run AND epoch = ended_epoch
    ),
    linked AS
    (
        SELECT
            *,
            lagInFrame(toNullable(ended_at)) OVER (
                PARTITION BY conid, run_id ORDER BY epoch
                ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
            ) AS previous_end
        FROM resolved
    )
SELECT
    {trade_date:Date} AS trade_date,
    conid, paper_user, run_id, epoch,
    least(greatest(first_at, {date_begin:DateTime64(9, 'UTC')}), end) AS begin,
    least(ended_at, {date_end:DateTime64(9, 'UTC')}) AS end,
    last_at AS last_frame_at,
    ended_by, cause, previous_end,
    {inputs_version:String} AS inputs_version,
    {built_at:DateTime64(3, 'UTC')} AS built_at
FROM linked
WHERE ended_at >= {date_begin:DateTime64(9, 'UTC')}
