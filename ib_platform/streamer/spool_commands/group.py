"""The commands ``ib-platform spool ...``. What they need is imported when they run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ib_platform.config import CONFIG_VARIABLE, PlatformConfig, load_config
from ib_platform.errors import ConfigurationError, SpoolError

if TYPE_CHECKING:
    from ib_platform.streamer.spool_commands.findings import Finding

CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)
_ONE_OR_ALL = click.option("--paper-user", help="Only this one; else all that have a spool.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_SEQ = click.IntRange(min=0)


@click.group()
def spool() -> None:
    """Look into the spools on this machine, check them, repair what a crash left.

    `ls`, `cat` and `check` only read, also beside a running streamer. For these and for `repair`
    ClickHouse need not run.
    """


@spool.command("ls")
@CONFIG
@_ONE_OR_ALL
@_JSON
def list_segments(config_file: Path | None, paper_user: str | None, as_json: bool) -> None:
    """Print every segment: what it holds, how far it is loaded, why it is set aside."""
    from ib_platform.streamer.spool_commands.listing import listing, print_listing
    from ib_platform.streamer.spool_commands.survey import survey

    config = load_config(config_file)
    found = [survey(folder, name) for name, folder in spool_folders(config, paper_user).items()]
    if as_json:
        _print_json([listing(one, config.limits) for one in found])
        return
    for one in found:
        print_listing(one, config.limits)


@spool.command()
@CONFIG
@click.argument("name", metavar="SEGMENT|RUN")
@click.option("--paper-user", help="Whose it is, where several spools have one of that name.")
@click.option("--from-seq", type=_SEQ, help="Frames from this number on, and events in between.")
@click.option("--to-seq", type=_SEQ, help="Frames up to this number, included.")
@click.option("--payloads", is_flag=True, help="Print what was received, too.")
def cat(
    config_file: Path | None,
    name: str,
    paper_user: str | None,
    from_seq: int | None,
    to_seq: int | None,
    payloads: bool,
) -> None:
    """Print the records of a segment, of a run, or of a batch in the quarantine: a JSON line each.

    `ib-platform spool ls` prints the names. Segments that are loaded and kept are found too.
    """
    from ib_platform.streamer.spool_commands.records_as_lines import Chosen, lines_of, sources

    chosen = Chosen(from_seq, to_seq, payloads)
    folders = spool_folders(load_config(config_file), paper_user)
    found = {user: sources(folder, name) for user, folder in folders.items() if folder.is_dir()}
    if not any(found.values()):
        looked_in = ", ".join(map(str, folders.values()))
        raise SpoolError(
            f"no segment, run or quarantined batch {name!r} in {looked_in}; `ib-platform spool ls` "
            "prints the names"
        )
    out = sys.stdout.buffer
    try:
        for user, files in found.items():
            for source in files:
                out.writelines(lines_of(source, user, chosen))
        out.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. What is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@spool.command()
@CONFIG
@_ONE_OR_ALL
@_JSON
@click.pass_context
def check(
    context: click.Context, config_file: Path | None, paper_user: str | None, as_json: bool
) -> None:
    """Read every record and say what is wrong, where, and what to do.

    Exit code 1 when there is a finding.
    """
    from ib_platform.streamer.quarantine import remedy
    from ib_platform.streamer.quarantined import quarantined_count
    from ib_platform.streamer.spool_commands import findings

    folders = spool_folders(load_config(config_file), paper_user)
    found = {name: findings.check(folder, name) for name, folder in folders.items()}
    if as_json:
        _print_json([_as_dict(name, one) for name, all_ in found.items() for one in all_])
    else:
        for name, all_ in found.items():
            click.echo(f"{name}: {f'{len(all_)} found' if all_ else 'nothing is wrong'}")
            for one in all_:
                click.echo(f"  {one}")
            if count := quarantined_count(folders[name]):
                batches = "1 batch that waits" if count == 1 else f"{count} batches that wait"
                click.echo(f"  ClickHouse refused {batches} in the quarantine: {remedy(name)}")
    if any(found.values()):
        context.exit(1)


@spool.command()
@CONFIG
@click.option("--paper-user", required=True, help="Whose spool; its streamer must not run.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.pass_context
def repair(
    context: click.Context, config_file: Path | None, paper_user: str, dry_run: bool
) -> None:
    """Clear away what a crash left: torn tails, half-made files, a damaged manifest.

    Never deletes a record. Exit code 1 when something is still wrong afterwards.
    """
    from datetime import UTC, datetime

    from ib_platform.streamer.spool_commands.repair import repair as repair_spool

    (folder,) = spool_folders(load_config(config_file), paper_user).values()
    result = repair_spool(folder, paper_user, datetime.now(UTC), dry_run)
    for line in result.done:
        click.echo(f"{'would be: ' if dry_run else ''}{line}")
    if not result.done:
        click.echo(f"{paper_user}: nothing to repair")
    for one in result.left:
        click.echo(f"still wrong: {one}")
    if result.left:
        context.exit(1)


@spool.command()
@CONFIG
@_ONE_OR_ALL
@click.option("--acknowledged", is_flag=True,
              help="Also what ClickHouse has acknowledged and is still kept here, for a server "
              "that has lost its last seconds.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and do nothing.")
def resend(
    config_file: Path | None, paper_user: str | None, acknowledged: bool, dry_run: bool
) -> None:
    """Send what ClickHouse lacks: batches that it refused, after you have cured why.

    Asks first which rows are there, so that none is stored twice; may run beside a streamer.
    """
    from ib_platform.streamer.resend_command import StillRefusedError, resend_spool

    config = load_config(config_file)
    refused = []
    for name, folder in spool_folders(config, paper_user).items():
        try:
            resend_spool(
                config.clickhouse,
                folder,
                name,
                acknowledged=acknowledged,
                dry_run=dry_run,
                say=click.echo,
            )
        except StillRefusedError as error:
            # What one spool cannot get rid of keeps nothing back of the others.
            refused.append(str(error))
    if refused:
        raise StillRefusedError("\n".join(refused))


def spool_folders(config: PlatformConfig, paper_user: str | None) -> dict[str, Path]:
    """Spool folders by paper user: those of the configuration, and those that are there of paper
    users that have left it.

    Raises:
        ConfigurationError: nobody of that name has or may have a spool.
    """
    from ib_platform.paths import PodPaths

    base = PodPaths(config.runtime.state_dir, "any").spool.parent
    there = sorted(path.name for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    names = list(dict.fromkeys([user.name for user in config.paper_users] + there))
    if paper_user is not None and paper_user not in names:
        raise ConfigurationError(
            f"no paper user {paper_user!r} in the configuration, and no spool of one in {base}; "
            f"known: {', '.join(names)}"
        )
    return {name: base / name for name in names if paper_user in (None, name)}


def _as_dict(paper_user: str, finding: Finding) -> dict[str, object]:
    return {
        "paper_user": paper_user,
        "kind": finding.kind.value,
        "file": str(finding.file),
        "offset": finding.offset,
        "bytes": finding.length,
        "what": finding.what,
        "to_do": finding.cure,
    }


def _print_json(content: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
