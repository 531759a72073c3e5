"""ib_platform: a durable record of futures order-book depth from Interactive Brokers."""

__version__ = "0.1.0"
