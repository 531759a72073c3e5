-- One row per contract, bar size and start, where at least one book state exists in it.
ALTER TABLE bars
    MODIFY COLUMN bar_size Enum8('1s' = 1, '1m' = 2, '5m' = 3, '1h' = 4, '1d' = 5, '5s' = 6, '15m' = 7) COMMENT 'Nominal length. Sorts by number, not by length: 5s and 15m came later';
