"""Who is told what becomes of the loader's inserts: nobody, if nobody asks."""

from __future__ import annotations


class InsertObserver:
    """Does nothing. Called in the loader's thread, a few times a second."""

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """A try was acknowledged; ``seconds``: of this try, connecting included."""

    def failed(self, code: int | None) -> None:
        """A try failed and is repeated. ``code``: ClickHouse's, None where it gave none."""
