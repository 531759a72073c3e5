"""The command ``retention``. It imports when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE, load_config


@click.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)  # fmt: skip
@click.option("--apply", "do_apply", is_flag=True, help="Export, verify, and then drop.")
def retention(config_file: Path | None, do_apply: bool) -> None:
    """Show which old trade dates would be exported and dropped, and which are kept, and why.

    Changes nothing without --apply. Ages and the folder: section retention of the configuration.
    """
    from datetime import UTC, datetime

    from rich.console import Console

    from ib_platform.retention.app import apply, look
    from ib_platform.retention.show import show, told

    config, now = load_config(config_file), datetime.now(UTC)
    if not config.retention.ages:
        click.echo("retention is off: the configuration gives no table an age, all is kept")
        return
    if not do_apply:
        show(look(config, now), Console())
        return
    dropped = kept = 0
    for done in apply(config, now):
        click.echo(told(done))
        if not isinstance(done, str):
            dropped += done.kept_because is None
            kept += done.kept_because is not None
    click.echo(f"{dropped} partitions exported and dropped, {kept} kept")
