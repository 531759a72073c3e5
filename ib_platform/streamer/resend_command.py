"""``ib-platform spool resend``: what is sent, in words. One at a time per spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from ib_platform.config import ClickHouse
from ib_platform.errors import PlatformInUseError, WarehouseError
from ib_platform.streamer.quarantine import QUARANTINE_FOLDER, remedy
from ib_platform.streamer.resend import Resender, Resent
from ib_platform.warehouse.connect import connect

_LOCK_NAME = "resend.lock"


class StillRefusedError(WarehouseError):
    """ClickHouse refuses batches again for their content."""


def resend_spool(
    settings: ClickHouse,
    folder: Path,
    paper_user: str,
    *,
    acknowledged: bool,
    dry_run: bool,
    say: Callable[[str], None],
) -> int:
    """Send what ClickHouse lacks of one spool; how many rows that were. ``acknowledged``: also what
    it has acknowledged and is still kept, for a server that has lost its last seconds.

    Raises:
        PlatformInUseError: another one is sending.
        StillRefusedError: batches stay in the quarantine; everything else was sent.
        SpoolError, WarehouseError: as ``Resender``.
    """
    if not folder.is_dir():
        say(f"{paper_user}: no spool at {folder}, nothing to send")
        return 0
    rows, refused = 0, 0
    with _alone(folder), closing(connect(settings, role="resend")) as client:
        resender = Resender(client, settings, dry_run=dry_run)
        for resent in resender.quarantine(folder, datetime.now(UTC)):
            say(_in_words("refused batch", resent, dry_run=dry_run))
            refused += resent.refused is not None
            rows += sum(resent.sent.values())
        if acknowledged:
            for resent in resender.acknowledged(folder, paper_user):
                say(_in_words("acknowledged segment", resent, dry_run=dry_run))
                rows += sum(resent.sent.values())
    say(f"{paper_user}: {rows} rows {'would be sent' if dry_run else 'sent'}")
    if refused:
        batches = "1 batch that stays" if refused == 1 else f"{refused} batches that stay"
        raise StillRefusedError(
            f"{paper_user}: ClickHouse still refuses {batches} in {folder / QUARANTINE_FOLDER}: "
            f"see above; {remedy(paper_user)}"
        )
    return rows


def _in_words(what: str, resent: Resent, *, dry_run: bool) -> str:
    if resent.refused is not None:
        return f"{what} {resent.name}: still refused: {resent.refused}"
    verb = "lacking" if dry_run else "sent"
    tables = ", ".join(
        f"{table}: {sent} {verb}, {resent.there[table]} there"
        for table, sent in resent.sent.items()
        if sent or resent.there[table]
    )
    return f"{what} {resent.name}: {tables or 'nothing in it'}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = filelock.FileLock(folder / _LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise PlatformInUseError(
            f"{folder}: another `spool resend` of this paper user is running; wait for its end"
        ) from None
    try:
        yield
    finally:
        lock.release()
