"""ClickHouse: how to reach it, the embedded engine, the schema and the queries."""
