-- One row per contract key, conid that it resolved to, and trade date; the newest resolution wins.
ALTER TABLE contracts
    ADD COLUMN trade_date Date COMMENT 'On which it was resolved; 1970-01-01 in rows older than this column',
    ADD COLUMN tick Nullable(Decimal(18, 9)) COMMENT 'Smallest price step, in price units',
    ADD COLUMN schedule_known_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When IBKR told its trading hours; NULL: unknown, the three arrays are empty',
    ADD COLUMN schedule_dates Array(Date) COMMENT 'Days that IBKR lists, one entry per span; days without a session are left out',
    ADD COLUMN schedule_opens Array(DateTime('UTC')) COMMENT 'Start of the span at the same position',
    ADD COLUMN schedule_closes Array(DateTime('UTC')) COMMENT 'End of the span at the same position, exclusive',
    MODIFY ORDER BY (contract, conid, trade_date);
