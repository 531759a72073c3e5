"""``ib-platform verify``: the record against itself, and against spools that still exist."""
