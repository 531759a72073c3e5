"""Dagster: assets, checks, jobs, schedules and sensors. The only folder that imports it."""
