"""The pure core: ladders, calendars, contracts and bar definitions. No I/O, no clocks."""
