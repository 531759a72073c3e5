-- What contract keys meant, trade date by trade date.
--
-- Grain:   one row per contract key, conid and trade date on which it was resolved.
-- Inputs:  contracts. Rows older than the column trade_date have 1970-01-01 there: `trade_date` is NULL then.
-- Params:  none.
SELECT
    symbol,
    exchange,
    splitByChar('.', contract)[3] AS word,
    conid,
    expiry,
    last_trade_date,
    nullIf(trade_date, toDate(0)) AS trade_date,
    resolved_at
FROM contracts FINAL
ORDER BY symbol, exchange, contract, trade_date, resolved_at, conid
