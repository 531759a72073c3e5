-- One row per contract: how good the record of a trade date is.
ALTER TABLE quality_report
    ADD COLUMN calendar_difference Nullable(String) COMMENT 'Where the trading hours that IBKR told differ from the calendar, for people; empty: nowhere; NULL: it told none of that date';
