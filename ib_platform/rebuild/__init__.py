"""Rebuilding closed trade dates, many at once: what is due, why, and doing it."""
