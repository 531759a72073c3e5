-- One row per partition that retention has exported and dropped, and per file that it went to.
CREATE TABLE dropped_partitions
(
    table_name  LowCardinality(String),
    trade_date  Date,
    file        String COMMENT 'Path of the Parquet file that has its rows',
    rows        UInt64 COMMENT 'In the file, and in the partition when it was dropped',
    fingerprint UInt64 COMMENT 'sum(cityHash64(formatRow(RowBinary, *))) over these rows, as the partition had them',
    file_bytes  UInt64,
    file_sha256 String COMMENT 'Of the file, read back from disk; hexadecimal',
    dropped_at  DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(dropped_at)
ORDER BY (table_name, trade_date, file)
SETTINGS non_replicated_deduplication_window = 1000;
