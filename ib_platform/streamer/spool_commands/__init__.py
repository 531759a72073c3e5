"""``ib-platform spool``: look into the spools, check them, repair what a crash left."""
