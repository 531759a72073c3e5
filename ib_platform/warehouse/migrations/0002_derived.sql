-- What is derived from the record: every table is a function of frames, stream events, assignments,
-- calendar and thresholds, replaced a whole trade date at a time. `inputs_version` names the rules
-- (hash of decoder, SQL, calendar, thresholds), `built_at` the moment of the build.

-- One row per ladder frame that belongs to a window: the book after it.
CREATE TABLE depth
(
    trade_date     Date CODEC(ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conid          UInt64 CODEC(ZSTD(1)),
    paper_user     LowCardinality(String),
    run_id         LowCardinality(String),
    seq            UInt64 CODEC(Delta(8), ZSTD(1)),
    epoch          UInt32 CODEC(T64, ZSTD(1)),
    window         UInt32 CODEC(T64, ZSTD(1)),
    role           Enum8('full' = 1, 'delta' = 2, 'repriced' = 3, 'orphan' = 4) CODEC(ZSTD(1)),
    top_price      Decimal(18, 9) COMMENT 'Price of row 0, row r is top_price - r * tick' CODEC(ZSTD(1)),
    tick           Decimal(18, 9) CODEC(ZSTD(1)),
    sizes          Array(Int32) COMMENT '21 signed sizes carried forward: bid > 0, ask < 0, 0 empty' CODEC(ZSTD(1)),
    best_bid       Nullable(Decimal(18, 9)) COMMENT 'NULL: no bid in the window' CODEC(ZSTD(1)),
    best_ask       Nullable(Decimal(18, 9)) COMMENT 'NULL: no ask in the window' CODEC(ZSTD(1)),
    bid_size       Nullable(Int32) CODEC(ZSTD(1)),
    ask_size       Nullable(Int32) CODEC(ZSTD(1)),
    last_price     Nullable(Decimal(18, 9)) COMMENT 'Last trade, if this frame shows it' CODEC(ZSTD(1)),
    last_size      Nullable(Int32) CODEC(ZSTD(1)),
    two_sided      Bool CODEC(ZSTD(1)),
    crossed        Bool COMMENT 'best_bid > best_ask' CODEC(ZSTD(1)),
    locked         Bool COMMENT 'best_bid = best_ask' CODEC(ZSTD(1)),
    complete       Bool COMMENT 'The window has shown more than one level of a side, else warm-up: only the touch is known' CODEC(ZSTD(1)),
    suspect        Bool COMMENT 'A frame of this window could not be decoded before this one' CODEC(ZSTD(1)),
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC') CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (conid, received_at, run_id, seq);

-- One row per uninterrupted subscription of a ladder inside a trade date.
CREATE TABLE spells
(
    trade_date     Date,
    conid          UInt64,
    paper_user     LowCardinality(String),
    run_id         LowCardinality(String),
    epoch          UInt32,
    begin          DateTime64(9, 'UTC') COMMENT 'First full frame of the epoch, at least the start of the trade date',
    end            DateTime64(9, 'UTC') COMMENT 'Exclusive: next epoch, disconnection, or the last frame of any topic of the run',
    last_frame_at  DateTime64(9, 'UTC') COMMENT 'Last ladder frame of the epoch up to the end of the trade date',
    ended_by       LowCardinality(String) COMMENT 'next_epoch, run_end, or the kind of the stream event',
    cause          LowCardinality(Nullable(String)) COMMENT 'Cause that the stream event named',
    previous_end   Nullable(DateTime64(9, 'UTC')) COMMENT 'End of the epoch before it in the run',
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (conid, run_id, epoch);

-- One row per contract, bar size and start, where at least one book state exists in it.
CREATE TABLE bars
(
    trade_date           Date CODEC(ZSTD(1)),
    conid                UInt64 CODEC(ZSTD(1)),
    bar_size             Enum8('1s' = 1, '1m' = 2, '5m' = 3, '1h' = 4, '1d' = 5) CODEC(ZSTD(1)),
    bar_start            DateTime('UTC') COMMENT 'The label, inclusive. Grid of the UTC epoch, 1d is the trade date; cut at the border of the trade date, which lies in the daily break of CME' CODEC(Delta(4), ZSTD(1)),
    bar_end              DateTime('UTC') COMMENT 'Exclusive' CODEC(Delta(4), ZSTD(1)),
    frames               UInt32 COMMENT 'Ladder frames that gave a state' CODEC(T64, ZSTD(1)),
    states               UInt32 COMMENT 'Of these, two-sided' CODEC(T64, ZSTD(1)),
    one_sided_states     UInt32 CODEC(T64, ZSTD(1)),
    empty_states         UInt32 CODEC(T64, ZSTD(1)),
    crossed_states       UInt32 CODEC(T64, ZSTD(1)),
    locked_states        UInt32 CODEC(T64, ZSTD(1)),
    warm_up_states       UInt32 COMMENT 'States of which only the touch is known' CODEC(T64, ZSTD(1)),
    first_received_at    DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    last_received_at     DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    mid_open             Nullable(Decimal(18, 9)) COMMENT 'Middle of the first two-sided state in the bar' CODEC(ZSTD(1)),
    mid_high             Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    mid_low              Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    mid_close            Nullable(Decimal(18, 9)) COMMENT 'Middle of the last two-sided state in the bar' CODEC(ZSTD(1)),
    bid_close            Nullable(Decimal(18, 9)) COMMENT 'Touch of the last state in the bar, two-sided or not' CODEC(ZSTD(1)),
    ask_close            Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    bid_size_close       Nullable(Int32) CODEC(ZSTD(1)),
    ask_size_close       Nullable(Int32) CODEC(ZSTD(1)),
    spread_mean          Nullable(Float64) COMMENT 'By state, over two-sided states' CODEC(ZSTD(1)),
    spread_time_weighted Nullable(Float64) COMMENT 'By time, over two-sided time inside the bar, the state carried into it included' CODEC(ZSTD(1)),
    spread_max           Nullable(Decimal(18, 9)) COMMENT 'Over states in the bar' CODEC(ZSTD(1)),
    two_sided_seconds    Float64 COMMENT 'Time that spread_time_weighted is over' CODEC(ZSTD(1)),
    crossed_seconds      Float64 CODEC(ZSTD(1)),
    microprice_close     Nullable(Float64) COMMENT '(ask * bid_size + bid * ask_size) / (bid_size + ask_size) at close' CODEC(ZSTD(1)),
    touch_depth_close    Nullable(Int64) COMMENT 'bid_size + ask_size at close' CODEC(ZSTD(1)),
    imbalance_close      Nullable(Float64) COMMENT '(bid_size - ask_size) / (bid_size + ask_size) at close' CODEC(ZSTD(1)),
    complete             Bool COMMENT 'The whole span was recorded: closed, not cut, covered from start to end, no gap, not suspect' CODEC(ZSTD(1)),
    closed               Bool COMMENT 'Its end has passed according to the newest frame' CODEC(ZSTD(1)),
    warm_up              Bool COMMENT 'Some state knows the touch only' CODEC(ZSTD(1)),
    one_sided            Bool COMMENT 'Some state lacks a bid or an ask' CODEC(ZSTD(1)),
    suspect              Bool COMMENT 'Some state, or a suspect window, must not be trusted' CODEC(ZSTD(1)),
    gap                  Bool COMMENT 'A gap touches it' CODEC(ZSTD(1)),
    inputs_version       LowCardinality(String),
    built_at             DateTime64(3, 'UTC') CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (conid, bar_size, bar_start);

-- One row per span in which a contract should have been recorded and was not.
CREATE TABLE gaps
(
    trade_date     Date,
    contract       LowCardinality(String) COMMENT 'Contract key',
    conid          Nullable(UInt64),
    begin          DateTime64(9, 'UTC') COMMENT 'Inclusive',
    end            DateTime64(9, 'UTC') COMMENT 'Exclusive',
    cause          LowCardinality(String) COMMENT 'Cause',
    paper_user     LowCardinality(Nullable(String)) COMMENT 'Whose pod should have streamed it',
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (contract, begin);

-- One row per span whose data exist but must not be trusted.
CREATE TABLE suspect_windows
(
    trade_date     Date,
    conid          UInt64,
    begin          DateTime64(9, 'UTC') COMMENT 'Inclusive',
    end            DateTime64(9, 'UTC') COMMENT 'Exclusive',
    cause          LowCardinality(String) COMMENT 'Cause',
    paper_user     LowCardinality(String),
    run_id         LowCardinality(String),
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (conid, begin, run_id, cause);

-- One row per contract: how good the record of a trade date is.
CREATE TABLE quality_report
(
    trade_date           Date,
    contract             LowCardinality(String) COMMENT 'Contract key',
    conid                Nullable(UInt64),
    paper_user           LowCardinality(Nullable(String)) COMMENT 'Who streamed it last on that date',
    verdict              LowCardinality(String) COMMENT 'Verdict: available, degraded, pending, missing',
    reasons              Array(String) COMMENT 'Why it is not available, for people',
    preliminary          Bool COMMENT 'The trade date was still open',
    expected_seconds     Float64 COMMENT 'Assigned, market open, and data known until then',
    covered_seconds      Float64 COMMENT 'Of these, recorded',
    coverage             Nullable(Float64) COMMENT 'covered / expected, NULL when nothing was expected',
    gaps                 UInt32,
    gap_seconds          Float64,
    gap_seconds_by_cause Map(String, Float64),
    ladder_frames        UInt64 COMMENT 'All decoded ladder frames',
    orphans              UInt64 COMMENT 'Of these, deltas without a window',
    two_sided            UInt64,
    one_sided            UInt64,
    empty                UInt64,
    crossed              UInt64,
    locked               UInt64,
    crossed_seconds      Float64,
    warm_up_share        Nullable(Float64) COMMENT 'Share of states (not of time) that know the touch only',
    undecodable          UInt64 COMMENT 'Ladder frames that could not be decoded',
    frames_received      Nullable(UInt64) COMMENT 'Of the pod, all topics and contracts: the same number in each row of one pod',
    frames_stored        Nullable(UInt64),
    frames_lost          Nullable(Int64) COMMENT 'received - stored',
    duplicates           Nullable(UInt64) COMMENT 'Rows beyond the distinct ones, before merges collapse them',
    inputs_version       LowCardinality(String),
    built_at             DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY contract;

-- One row per streamer run that a final build of the date used, and one with an empty run_id for the build.
CREATE TABLE builds
(
    trade_date     Date,
    run_id         LowCardinality(String) COMMENT 'Empty: the build as a whole',
    input          LowCardinality(String) COMMENT 'Table that was read, empty for the build as a whole',
    rows           UInt64,
    highest_seq    Nullable(UInt64) COMMENT 'Highest seq, or event_no of stream_events',
    inputs_version LowCardinality(String),
    built_at       DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY trade_date
ORDER BY (run_id, input);
