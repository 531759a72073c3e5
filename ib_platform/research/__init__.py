"""Reading the warehouse for research: ``from ib_platform import Warehouse``. docs/research.md.

A layer of its own above ``warehouse``: pods load through that one and must never pay for this one.
This module stays empty, so that the command line can name its commands without loading them.
"""
