"""ib_platform: a durable record of futures order-book depth from Interactive Brokers.

``from ib_platform import Warehouse`` reads it: docs/research.md. What it needs is imported then,
since every pod process imports this module too.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Warehouse", "__version__"]

if TYPE_CHECKING:
    from ib_platform.research.api import Warehouse
else:

    def __getattr__(name: str) -> object:
        if name != "Warehouse":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ib_platform.research.api import Warehouse

        return Warehouse
