"""The pod's main process: receive, stamp, spool, decode, load."""
