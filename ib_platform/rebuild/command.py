"""The command ``rebuild``. It imports when it runs."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE, load_config
from ib_platform.errors import RebuildError

_DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)  # fmt: skip
@click.option("--from", "begin", type=_DATE, metavar="D", help="First trade date; else the first.")
@click.option("--to", "end", type=_DATE, metavar="D", help="Last one; else the last closed one.")
@click.option("--apply", "do_apply", is_flag=True, help="Build; without it nothing is changed.")
@click.option("--dry-run", is_flag=True, help="Only show what would be built. The default.")
@click.option("--force", is_flag=True, help="Build what is current too.")
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True,
              help="Trade dates at once.")  # fmt: skip
def rebuild(
    config_file: Path | None,
    begin: datetime | None,
    end: datetime | None,
    do_apply: bool,
    dry_run: bool,
    force: bool,
    jobs: int,
) -> None:
    """Build closed trade dates whose record or rules have changed, or that were never built.

    Shows what it would build, and why; --apply builds. It may be ended at any time and repeated:
    what is built already is passed over. Exit code 11 when a date was not built.
    """
    from datetime import UTC

    from rich.console import Console

    from ib_platform.rebuild.app import look
    from ib_platform.rebuild.app import rebuild as build_all
    from ib_platform.rebuild.show import followed, show

    if do_apply and dry_run:
        raise click.UsageError("--apply and --dry-run contradict each other")
    config, console = load_config(config_file), Console()
    steps = look(config, datetime.now(UTC), _date(begin), _date(end), force=force)
    if not do_apply:
        show(steps, console)
        return
    due = sum(step.because is not None for step in steps)
    done = list(followed(build_all(config, steps, jobs), due, console))
    built = sum(one.built is not None for one in done)
    click.echo(f"{built} of {due} trade dates built, {len(steps) - due} stay as they are")
    if built < due:
        raise RebuildError(
            f"{due - built} trade dates were not built and keep their old rows. Cure what is said "
            "above and repeat the command: it goes on where it ended."
        )


def _date(value: datetime | None) -> date | None:
    return None if value is None else value.date()
