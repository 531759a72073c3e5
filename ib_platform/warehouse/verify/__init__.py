"""Proof over the table ``frames``: received = stored + lost with cause."""
