"""Decoding the recorded payloads again: what another decoder makes of them, and storing it."""
