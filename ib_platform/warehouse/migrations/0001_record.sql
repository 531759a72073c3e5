-- The record: what was received and what happened. Written by streamers (frames, ladder_frames,
-- quote_frames, stream_events, heartbeats, contracts) and by `rebalance` (assignments). Immutable:
-- no row is updated; the replacing keys are the second line of defence behind deduplication tokens.

-- One row per frame of any topic, as received. The truth.
CREATE TABLE frames
(
    trade_date      Date COMMENT 'Partition: Chicago time + 7 h 30 min, weekends rolled to Monday' CODEC(ZSTD(1)),
    received_at     DateTime64(9, 'UTC') COMMENT 'Wall clock of the streamer when the frame arrived' CODEC(Delta(8), ZSTD(1)),
    monotonic_ns    UInt64 COMMENT 'Monotonic clock of the streamer process, ns' CODEC(Delta(8), ZSTD(1)),
    paper_user      LowCardinality(String),
    run_id          LowCardinality(String) COMMENT 'One life of a streamer process',
    connection      UInt32 COMMENT 'Number of the websocket connection in the run, from 1' CODEC(T64, ZSTD(1)),
    seq             UInt64 COMMENT 'Number of the frame in the run, from 0, gapless' CODEC(Delta(8), ZSTD(1)),
    topic           LowCardinality(String) COMMENT 'First word of the topic: sbd, smd, system, sts, act, ...',
    conid           Nullable(UInt64) CODEC(ZSTD(1)),
    payload         String COMMENT 'Bytes as received' CODEC(ZSTD(3)),
    decode_error    LowCardinality(Nullable(String)) COMMENT 'Why the payload could not be decoded',
    decoder_version UInt16 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY trade_date
ORDER BY (paper_user, run_id, seq)
SETTINGS non_replicated_deduplication_window = 10000;

-- One row per ladder frame: its decoded columns.
CREATE TABLE ladder_frames
(
    trade_date      Date CODEC(ZSTD(1)),
    received_at     DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conid           UInt64 CODEC(ZSTD(1)),
    paper_user      LowCardinality(String),
    run_id          LowCardinality(String),
    seq             UInt64 CODEC(Delta(8), ZSTD(1)),
    epoch           UInt32 COMMENT 'Subscription of the ladder in the run, from 1; 0 before the first full frame' CODEC(T64, ZSTD(1)),
    window          UInt32 COMMENT 'Window in the epoch, from 1; 0 for an orphan' CODEC(T64, ZSTD(1)),
    role            Enum8('full' = 1, 'delta' = 2, 'repriced' = 3, 'orphan' = 4) COMMENT 'What the frame did to its window' CODEC(ZSTD(1)),
    top_price       Nullable(Decimal(18, 9)) COMMENT 'Price of row 0; row r is top_price - r * tick' CODEC(ZSTD(1)),
    tick            Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    sizes           Array(Nullable(Int32)) COMMENT '21 signed sizes: bid > 0, ask < 0, 0 emptied, NULL not in this frame' CODEC(ZSTD(1)),
    last_price      Nullable(Decimal(18, 9)) COMMENT 'Last trade, if this frame shows it' CODEC(ZSTD(1)),
    last_size       Nullable(Int32) CODEC(ZSTD(1)),
    suspect         Bool COMMENT 'A frame of this window could not be decoded before this one',
    decoder_version UInt16 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(decoder_version)
PARTITION BY trade_date
ORDER BY (conid, run_id, seq)
SETTINGS non_replicated_deduplication_window = 10000;

-- One row per quote frame: the fields that it carried, NULL for those that it did not.
CREATE TABLE quote_frames
(
    trade_date      Date CODEC(ZSTD(1)),
    received_at     DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    conid           UInt64 CODEC(ZSTD(1)),
    paper_user      LowCardinality(String),
    run_id          LowCardinality(String),
    seq             UInt64 CODEC(Delta(8), ZSTD(1)),
    updated_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the sender' CODEC(ZSTD(1)),
    last            Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    last_prefix     LowCardinality(Nullable(String)) COMMENT 'C previous close, H halted',
    last_size       Nullable(Int32) CODEC(ZSTD(1)),
    bid             Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    bid_size        Nullable(Int32) CODEC(ZSTD(1)),
    ask             Nullable(Decimal(18, 9)) CODEC(ZSTD(1)),
    ask_size        Nullable(Int32) CODEC(ZSTD(1)),
    volume          Nullable(Int64) CODEC(ZSTD(1)),
    availability    LowCardinality(Nullable(String)) COMMENT 'Field 6509: R real-time, D delayed, ...',
    decoder_version UInt16 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(decoder_version)
PARTITION BY trade_date
ORDER BY (conid, run_id, seq)
SETTINGS non_replicated_deduplication_window = 10000;

-- One row per change of a streamer's world. An input of gaps, hence without TTL.
CREATE TABLE stream_events
(
    trade_date Date CODEC(ZSTD(1)),
    at         DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    paper_user LowCardinality(String),
    run_id     LowCardinality(String),
    event_no   UInt64 COMMENT 'Number of the event in the run, from 0',
    kind       LowCardinality(String) COMMENT 'StreamEventKind',
    cause      LowCardinality(Nullable(String)) COMMENT 'Cause, where it explains a gap or suspect window',
    contract   LowCardinality(Nullable(String)) COMMENT 'Contract key, where one is concerned',
    conid      Nullable(UInt64),
    after_seq  UInt64 COMMENT 'Frames of the run that were stamped before it',
    detail     String COMMENT 'JSON' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY trade_date
ORDER BY (paper_user, run_id, event_no)
SETTINGS non_replicated_deduplication_window = 10000;

-- One row per pod every few seconds. For people and metrics, never an input of derived data.
CREATE TABLE heartbeats
(
    at          DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    paper_user  LowCardinality(String),
    run_id      LowCardinality(String),
    state       LowCardinality(String) COMMENT 'PodState',
    received    UInt64,
    spooled     UInt64,
    stored      UInt64,
    undecodable UInt64,
    lag_seconds Nullable(Float64) COMMENT 'Age of the oldest record not yet loaded, at the time of writing',
    spool_bytes UInt64 COMMENT 'Bytes in the spool not yet loaded'
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (paper_user, at)
TTL toDateTime(at) + INTERVAL 7 DAY;

-- One row per contract key and the conid that it resolved to; the newest resolution wins.
CREATE TABLE contracts
(
    contract        LowCardinality(String) COMMENT 'Contract key: SYMBOL.EXCHANGE.month',
    conid           UInt64,
    symbol          LowCardinality(String),
    exchange        LowCardinality(String),
    calendar        LowCardinality(String),
    expiry          Nullable(Date),
    last_trade_date Nullable(Date),
    multiplier      Nullable(Float64),
    resolved_at     DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(resolved_at)
ORDER BY (contract, conid)
SETTINGS non_replicated_deduplication_window = 1000;

-- One row per generation: the whole assignment as parallel arrays. One writer: `rebalance`.
CREATE TABLE assignments
(
    generation   UInt64,
    content_hash UInt64 COMMENT 'Of the arrays; ties of a generation go to the larger hash',
    created_at   DateTime64(3, 'UTC'),
    effective_at DateTime64(3, 'UTC') COMMENT 'From here on a missing frame is a gap',
    contracts    Array(String) COMMENT 'Contract keys',
    paper_users  Array(String) COMMENT 'The paper user that streams the contract at the same position',
    calendars    Array(String) COMMENT 'The calendar that the contract at the same position follows'
)
ENGINE = ReplacingMergeTree(content_hash)
ORDER BY generation
SETTINGS non_replicated_deduplication_window = 1000;
