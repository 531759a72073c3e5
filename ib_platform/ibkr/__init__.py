"""Client side of the IBKR Web API: REST, websocket, certificates."""
