-- What the new contract costs more than the old one at their last common sound minute before a roll.
--
-- Grain:   one row. `difference` and `difference_at` are NULL where no minute is common; `old_minutes` and
--          `new_minutes` say how many sound ones each has then.
-- Inputs:  bars of 1m: sound means complete (recorded from start to end, no gap, not suspect) and never
--          crossed. Both contracts on the same trade date.
-- Params:  from_conid, to_conid, roll_date, and read_from: the first trade date that is looked at.
WITH
    sound AS
    (
        SELECT conid, bar_start, mid_close
        FROM bars
        WHERE trade_date >= {read_from:Date} AND trade_date < {roll_date:Date}
          AND conid IN ({from_conid:UInt64}, {to_conid:UInt64})
          AND bar_size = '1m' AND complete AND crossed_states = 0 AND mid_close IS NOT NULL
    ),
    minutes AS
    (
        SELECT
            bar_start,
            anyIf(mid_close, conid = {from_conid:UInt64}) AS old_close,
            anyIf(mid_close, conid = {to_conid:UInt64}) AS new_close
        FROM sound
        GROUP BY bar_start
    )
SELECT
    argMaxIf(new_close - old_close, bar_start, old_close IS NOT NULL AND new_close IS NOT NULL) AS difference,
    maxOrNullIf(bar_start, old_close IS NOT NULL AND new_close IS NOT NULL) AS difference_at,
    countIf(old_close IS NOT NULL) AS old_minutes,
    countIf(new_close IS NOT NULL) AS new_minutes
FROM minutes
