"""The gateway side of a pod: runs the gateway program and owns the brokerage session."""
