"""One self-contained HTML page over the quality of one trade date."""
