"""`ib-platform demo`: the whole system on one machine, started, watched, summed up and stopped."""
