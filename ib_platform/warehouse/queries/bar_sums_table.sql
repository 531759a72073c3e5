-- The table in which a build keeps the answer of bar_sums.sql: read several times, made once. With its
-- columns written down, ClickHouse need not analyse that query a second time to find them.
--
-- Params:  work_table Identifier.
CREATE TABLE {work_table:Identifier}
(
    conid UInt64,
    size Int64,
    bar_begin Int64,
    bar_end Int64,
    frames UInt64,
    states UInt64,
    empty_states UInt64,
    crossed_states UInt64,
    locked_states UInt64,
    warm_up_states UInt64,
    suspect_states UInt64,
    any_suspect_state Bool,
    first_at Int64,
    last_at Int64,
    open_twice Int64,
    close_twice Int64,
    high_twice Int64,
    low_twice Int64,
    bid_close Int64,
    ask_close Int64,
    bid_size_close Int32,
    ask_size_close Int32,
    bid_depth_5_close Int64,
    bid_depth_10_close Int64,
    ask_depth_5_close Int64,
    ask_depth_10_close Int64,
    spreads Int128,
    spreads_in_ticks Int64,
    positive_states UInt64,
    spreads_in_basis_points Int128,
    widest Int64,
    sound_states UInt64,
    sound_twice Int64,
    sound_at Int64,
    order_flows Int64,
    order_flow_steps UInt64,
    last_steps UInt64,
    trades UInt64,
    trade_open Int64,
    trade_close Int64,
    trade_high Int64,
    trade_low Int64,
    weights Array(Int128),
    times Array(Int64)
)
ENGINE = MergeTree
ORDER BY tuple()
