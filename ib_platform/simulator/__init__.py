"""IBKR as a streamer and a gateway supervisor see it, simulated on 127.0.0.1."""
