"""Which contracts this paper user streams: the newest row of ``assignments``, or its disk copy.

The copy lies beside the spool, so that a streamer that starts while ClickHouse is away streams at
once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.streamer.durable_json import replace_json
from ib_platform.warehouse.assignments import newest_assignment
from ib_platform.warehouse.connect import Client, connect, kind_of_error, warehouse_errors

logger = logging.getLogger(__name__)
POLL_EVERY = 10.0
NO_ASSIGNMENT = "no assignment yet: run `ib-platform rebalance`"
FROM_CLICKHOUSE = "clickhouse"
FROM_DISK = "disk"
_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 10


class Assignment(msgspec.Struct, frozen=True):
    """What one paper user streams: contract keys with the calendars they follow."""

    generation: int
    calendars: dict[str, CalendarName]


@dataclass(frozen=True, slots=True)
class Known:
    """The newest assignment that is known, where it was read (``clickhouse`` or ``disk``), and
    what is missing in words when there is none."""

    assignment: Assignment | None
    source: str | None
    problem: str | None


def copy_path(paths: PodPaths) -> Path:
    """The disk copy of one paper user's assignment."""
    return paths.spool.with_name(f"{paths.paper_user}.assignment.json")


def save_copy(file: Path, assignment: Assignment) -> None:
    """Replace the copy atomically. Raises OSError."""
    replace_json(file, assignment)


def load_copy(file: Path) -> Assignment | None:
    """The copy; None when there is none, or it cannot be read (said in the log)."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Assignment)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s: the copy of the assignment cannot be used: %s", file, error)
        return None


def read_newest(client: Client, settings: ClickHouse, paper_user: str) -> Assignment | None:
    """The part of the newest assignment that is ``paper_user``'s; None before the first one.

    Raises:
        WarehouseError: ClickHouse did not answer or refused, or the row cannot be understood.
    """
    with warehouse_errors(settings, "read the newest assignment"):
        newest = newest_assignment(client)
    if newest is None:
        return None
    rows = zip(newest.contracts, newest.paper_users, newest.calendars, strict=True)
    try:
        mine = {key: CalendarName(calendar) for key, user, calendar in rows if user == paper_user}
    except ValueError as error:
        raise WarehouseError(
            f"assignment generation {newest.generation} cannot be understood ({error}). "
            "Run `ib-platform rebalance` of this version."
        ) from error
    return Assignment(newest.generation, mine)


class AssignmentWatcher:
    """A thread that keeps ``known`` up to date. Never disturbs whoever reads it."""

    def __init__(
        self,
        settings: ClickHouse,
        paths: PodPaths,
        poll_every: float = POLL_EVERY,
        connector: Callable[..., Client] = connect,
    ) -> None:
        self._settings = settings
        self._paper_user = paths.paper_user
        self._copy = copy_path(paths)
        self._poll_every = poll_every
        self._connect = connector
        self._client: Client | None = None
        self._said: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="assignment", daemon=True)
        self.known = Known(None, None, "the assignment has not been read yet")

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end. Does not wait; the thread delays no exit of the process."""
        self._stopping.set()

    def stop(self, timeout: float = _READ_TIMEOUT + 1) -> None:
        """End the thread; returns when it has ended, or after ``timeout`` seconds."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def poll(self) -> None:
        """Look once: ClickHouse first, the disk copy when it is away."""
        try:
            if self._client is None:
                self._client = self._connect(
                    self._settings,
                    role="assignment",
                    connect_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                )
            found = read_newest(self._client, self._settings, self._paper_user)
        except WarehouseError as error:
            self._close()
            self._without_clickhouse(error)
            return
        self._said = None
        if found is None:
            # An empty table is an answer: an old copy would belong to another database.
            self.known = Known(None, None, NO_ASSIGNMENT)
            return
        if found != self.known.assignment or self.known.source != FROM_CLICKHOUSE:
            logger.info("assignment generation %d: %s", found.generation, sorted(found.calendars))
            self._save(found)
        nothing = f"assignment generation {found.generation} gives this paper user no contract"
        self.known = Known(found, FROM_CLICKHOUSE, None if found.calendars else nothing)

    def _without_clickhouse(self, error: WarehouseError) -> None:
        if self.known.assignment is not None:
            return
        copy = load_copy(self._copy)
        if copy is None:
            problem = f"{NO_ASSIGNMENT} (no copy on disk; {error})"
            # Not the text: it holds the query's id, a new one each time.
            if self._said != (said := kind_of_error(error)):
                logger.warning("%s", problem)
            self._said = said
            self.known = Known(None, None, problem)
            return
        logger.warning("assignment generation %d from the disk copy: %s", copy.generation, error)
        self.known = Known(copy, FROM_DISK, None)

    def _save(self, assignment: Assignment) -> None:
        try:
            save_copy(self._copy, assignment)
        except OSError as error:
            logger.warning("%s: the assignment could not be copied: %s", self._copy, error)

    def _run(self) -> None:
        self._poll_safely()
        while not self._stopping.wait(self._poll_every):
            self._poll_safely()
        self._close()

    def _poll_safely(self) -> None:
        try:
            self.poll()
        except Exception as error:
            # The thread's boundary: the next look may succeed, a thread that ended never looks.
            if self._said != (said := kind_of_error(error)):
                logger.exception("the assignment could not be read; it is tried again")
            self._said = said

    def _close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.close()
            self._client = None
