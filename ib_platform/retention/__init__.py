"""Retention: old trade dates of big tables are exported, verified, and only then dropped."""
