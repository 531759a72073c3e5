-- The definition of depth: the book after every ladder frame.
--
-- Grain:   one row per ladder frame of the trade date that belongs to a window (orphans have none),
--          plus the rows of the last window before the date's border (`trade_date` tells them
--          apart), so that a book carries over the border.
-- Inputs:  ladder_frames. Reads the date and, per stream, back to the last full frame before it.
-- Order:   a book is built by seq, the streamer's own counter, inside (conid, run_id, epoch,
--          window).
-- Repeat:  a pure function of ladder_frames: FINAL leaves one row per (conid, run_id, seq).
-- Params:  trade_date Date, read_from Date (the look-back's bound), own_rows Bool (false: only the
--          rows before the border).
SELECT
    trade_date, received_at, conid, paper_user, run_id, seq, epoch, window, role, top_price, tick,
    book AS sizes,
    if(bid_row = 0, NULL, top_price - tick * (bid_row - 1)) AS best_bid,
    if(ask_row = 0, NULL, top_price - tick * (ask_row - 1)) AS best_ask,
    if(bid_row = 0, NULL, book[bid_row]) AS bid_size,
    if(ask_row = 0, NULL, -book[ask_row]) AS ask_size,
    last_price, last_size,
    bid_row > 0 AND ask_row > 0 AS two_sided,
    -- Row 1 is the highest price.
    two_sided AND bid_row < ask_row AS crossed,
    two_sided AND bid_row = ask_row AS locked,
    max(deep) OVER by_window AS complete,
    suspect
FROM
(
    SELECT
        *,
        arrayFirstIndex(size -> size > 0, book) AS bid_row,
        arrayLastIndex(size -> size < 0, book) AS ask_row,
        arrayCount(size -> size > 0, book) > 1 OR arrayCount(size -> size < 0, book) > 1 AS deep
    FROM
    (
        SELECT
            * EXCEPT (sizes, top_price, tick),
            assumeNotNull(ladder_frames.top_price) AS top_price,
            assumeNotNull(ladder_frames.tick) AS tick,
            arrayMap(size -> ifNull(size, 0), anyLastForEach(sizes) OVER by_window) AS book
        FROM ladder_frames FINAL
        WHERE window > 0
          AND trade_date BETWEEN {read_from:Date} AND {trade_date:Date}
          AND (
              ({own_rows:Bool} AND trade_date = {trade_date:Date})
              OR (conid, run_id, epoch, window) IN (
                  SELECT conid, run_id, last.1, last.2
                  FROM
                  (
                      SELECT conid, run_id, argMax((epoch, window), seq) AS last
                      FROM ladder_frames
                      WHERE window > 0
                        AND trade_date >= {read_from:Date} AND trade_date < {trade_date:Date}
                      GROUP BY conid, run_id
                  )
              )
          )
        WINDOW by_window AS (PARTITION BY conid, run_id, epoch, window ORDER BY seq)
    )
)
WINDOW by_window AS (PARTITION BY conid, run_id, epoch, window ORDER BY seq)
