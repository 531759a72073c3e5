"""The command ``ib-platform drain-spool``. What it needs is imported when it runs."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ib_platform.config import load_config
from ib_platform.streamer.spool_commands.group import CONFIG, spool_folders

if TYPE_CHECKING:
    from ib_platform.streamer.drain import Drained


@click.command("drain-spool")
@CONFIG
@click.argument("paper_user")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Give up after this; else try for as long as it takes.")  # fmt: skip
def drain_spool(config_file: Path | None, paper_user: str, deadline: float | None) -> None:
    """Load what is in PAPER_USER's spool into ClickHouse, without a session.

    Its streamer must not run. Exit code 1 when the deadline came first.
    """
    from ib_platform.streamer.drain import DeadlineOverError, drain

    logging.basicConfig(level=logging.INFO, stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")  # fmt: skip
    config = load_config(config_file)
    (folder,) = spool_folders(config, paper_user).values()
    with _ended_by_sigterm_as_by_ctrl_c():
        drained = drain(config, paper_user, folder, deadline)
    if drained is None:
        click.echo(f"{paper_user}: nothing to load")
        return
    for line in in_words(drained):
        click.echo(line)
    if drained.left:
        raise DeadlineOverError(_left_in_words(paper_user, folder, drained))


@contextmanager
def _ended_by_sigterm_as_by_ctrl_c() -> Iterator[None]:
    """So that a drain that is told to end can still say so in the record."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def in_words(drained: Drained) -> list[str]:
    """One line a run, and one for each batch that was set aside."""
    from ib_platform.streamer.quarantine import remedy

    loaded = drained.loaded
    lines = [f"{run_id}: {frames} frames loaded" for run_id, frames in loaded.items()]
    lines += [
        f"{batch.run_id}: {batch.what_is_missing} refused by ClickHouse and set aside as "
        f"{batch.name} ({batch.refusals[0].error}); {remedy(batch.paper_user)}"
        for batch in drained.refused
    ]
    runs = f"{len(loaded)} run{'s' * (len(loaded) != 1)}"
    return [*lines, f"{sum(loaded.values())} frames of {runs} loaded"]


def _left_in_words(paper_user: str, folder: Path, drained: Drained) -> str:
    runs = ", ".join(f"{run.frames} frames of {run_id}" for run_id, run in drained.left.items())
    trouble = f" ClickHouse: {drained.trouble}" if drained.trouble else ""
    return (
        f"{paper_user}: the deadline came first. Left in {folder}: {runs}. Nothing is lost; run "
        f"it again with more time.{trouble}"
    )
