"""Sends one part of a batch until ClickHouse acknowledges it, for as long as it takes.

Always the same rows under the same token, so that an answer that got lost costs nothing.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from ib_platform import config
from ib_platform.errors import WarehouseError
from ib_platform.streamer.asking import missing_rows, stored_frames
from ib_platform.streamer.batches import Part
from ib_platform.streamer.decode import Row
from ib_platform.streamer.insert_observer import InsertObserver
from ib_platform.streamer.quarantine import Refusal
from ib_platform.streamer.records import Record
from ib_platform.warehouse.connect import (
    connect,
    error_code,
    is_refusal,
    is_transient,
    kind_of_error,
    warehouse_errors,
    words_of_server,
)

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)
FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
BLOCKED_DELAY = 30.0
INSERT_TIMEOUT = 60
_LONGEST_ERROR = 1000
REFUSALS = 3
"""So often the same content must be refused: an answer may be that of a proxy, or of a server
that is being changed."""


def retry_delay(attempt: int, rng: random.Random) -> float:
    """Seconds before try ``attempt + 1`` (attempts count from 0): doubling, capped, jittered.

    Between half and the whole of min(5, 0.2 * 2 ** attempt), so that pods do not come in step.
    """
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 30))
    return longest * rng.uniform(0.5, 1.0)


_Answer = TypeVar("_Answer")


class Sent(StrEnum):
    """What became of a part that was not refused."""

    STORED = "stored"
    STOPPED = "stopped"


class Sender:
    """One client of ClickHouse, renewed after every error. One thread at a time.

    ``state``: loading, retrying (a transient error), or blocked (an error that somebody has to
    cure; still retried, slowly). ``last_error`` is None again after a success.
    """

    def __init__(
        self,
        settings: config.ClickHouse,
        pause: Callable[[float], None],
        rng: random.Random,
        observer: InsertObserver | None = None,
    ) -> None:
        self._settings = settings
        self._pause = pause
        self._rng = rng
        self._observer = observer or InsertObserver()
        self._client: Client | None = None
        self.state = "loading"
        self.last_error: str | None = None
        self._said: str | None = None

    def send(
        self,
        part: Part,
        rows: pyarrow.Table,
        go_on: Callable[[], bool],
        *,
        may_refuse: bool = False,
    ) -> Sent | Refusal:
        """Insert the rows of ``part``. STOPPED only when ``go_on`` said no before that was done. A
        Refusal, where the caller can do something about it (``may_refuse``), when ClickHouse has
        refused the content ``REFUSALS`` times.

        Raises nothing of ClickHouse: every other error is retried and shown in ``last_error``.
        """
        attempt = refusals = 0
        while go_on():
            began = time.monotonic()
            try:
                self._insert(part, rows)
            except (WarehouseError, ClickHouseError, HTTPError, OSError) as error:
                self._failed(f"{part.rows} rows of {part.table}", error)
                refused = may_refuse and is_refusal(error)
                refusals += refused
                if refusals >= REFUSALS:
                    return Refusal(part, error_code(error), words_of_server(error)[:_LONGEST_ERROR])
                blocked = self.state == "blocked" and not refused
                self._pause(BLOCKED_DELAY if blocked else retry_delay(attempt, self._rng))
                attempt += 1
            else:
                self.state, self.last_error, self._said = "loading", None, None
                self._observer.inserted(part.table, part.rows, time.monotonic() - began)
                return Sent.STORED
        return Sent.STOPPED

    def missing(self, part: Part, rows: list[Row], go_on: Callable[[], bool]) -> list[Row] | None:
        """The rows of ``part`` that ClickHouse has not; None when ``go_on`` said no before it
        answered. Errors are retried like those of ``send``."""
        settings = self._settings
        return self._ask(
            f"{part.rows} rows of {part.table}",
            lambda client: missing_rows(client, settings, part.table, rows),
            go_on,
        )

    def stored_frames(
        self, run_id: str, from_seq: int, go_on: Callable[[], bool]
    ) -> list[Record] | None:
        """Frames of the run from a number on that ClickHouse has; None and errors as above."""
        settings = self._settings
        return self._ask(
            f"frames of {run_id}",
            lambda client: stored_frames(client, settings, run_id, from_seq),
            go_on,
        )

    def _ask(
        self, what: str, question: Callable[[Client], _Answer], go_on: Callable[[], bool]
    ) -> _Answer | None:
        attempt = 0
        while go_on():
            try:
                return question(self._connected())
            except (WarehouseError, ClickHouseError, HTTPError, OSError) as error:
                self._failed(what, error)
                blocked = self.state == "blocked"
                self._pause(BLOCKED_DELAY if blocked else retry_delay(attempt, self._rng))
                attempt += 1
        return None

    def close(self) -> None:
        """Give the connection back. Idempotent; the next ``send`` opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _insert(self, part: Part, rows: pyarrow.Table) -> None:
        settings = {
            "insert_deduplication_token": part.token,
            "insert_deduplicate": 1,
            "async_insert": 0,
            "wait_end_of_query": 1,
        }
        with warehouse_errors(self._settings, f"insert into {part.table}"):
            self._connected().insert_arrow(part.table, rows, settings=settings)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._settings, role="loader", read_timeout=INSERT_TIMEOUT)
        return self._client

    def _failed(self, what: str, error: Exception) -> None:
        self.close()
        self._observer.failed(error_code(error))
        self.state = "retrying" if is_transient(error) else "blocked"
        message = str(error)[:_LONGEST_ERROR]
        # Not the text: it holds the query's id, a new one each time.
        if self._said != (said := kind_of_error(error)):
            logger.warning("%s: %s: %s", self.state, what, message)
        self._said = said
        self.last_error = message
