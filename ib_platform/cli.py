"""The ib-platform command. Each command imports what it needs, when it runs."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ib_platform import __version__
from ib_platform.config import CONFIG_VARIABLE, load_config
from ib_platform.demo.command import demo, stop
from ib_platform.errors import PlatformError
from ib_platform.rebuild.command import rebuild
from ib_platform.redecode.command import redecode
from ib_platform.report.command import report
from ib_platform.research import command as research
from ib_platform.retention.command import retention
from ib_platform.simulator.cli import CONFIG_OPTION, simulate
from ib_platform.simulator.fault_cli import fault
from ib_platform.streamer.drain_command import drain_spool
from ib_platform.streamer.spool_commands.group import spool
from ib_platform.verify.command import verify
from ib_platform.warehouse.rolls_command import rolls

_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)
_PAPER_USER = click.option("--paper-user", required=True, help="Name of a paper user.")
_FILE = click.Path(path_type=Path)


class _Commands(click.Group):
    """Turns a PlatformError of any command into one clear message and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            click.echo(f"ib-platform: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ib-platform")
def main() -> None:
    """A durable record of futures order-book depth from Interactive Brokers."""


main.add_command(simulate)
main.add_command(fault)
main.add_command(verify)
main.add_command(rolls)
main.add_command(rebuild)
main.add_command(redecode)
main.add_command(retention)
main.add_command(spool)
main.add_command(drain_spool)
main.add_command(demo)
main.add_command(stop)
main.add_command(research.bars)
main.add_command(research.continuous)
main.add_command(research.depth)
main.add_command(research.quality)
main.add_command(research.export)
main.add_command(report)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


@main.command()
@_CONFIG
def clickhouse(config_file: Path | None) -> None:
    """Run the embedded ClickHouse until it is told to stop."""
    from ib_platform.warehouse.embedded import serve

    _log_to_stderr()
    serve(load_config(config_file).clickhouse)


@main.command()
@_CONFIG
def migrate(config_file: Path | None) -> None:
    """Bring the database schema up to date."""
    from ib_platform.warehouse.migrate import migrate as apply_migrations

    applied = apply_migrations(load_config(config_file).clickhouse)
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@main.command()
@_CONFIG
def rebalance(config_file: Path | None) -> None:
    """Assign the configured contracts to the paper users; streamers follow the newest."""
    from ib_platform.fleet.plan import plan_assignment
    from ib_platform.warehouse.assignments import write_assignment
    from ib_platform.warehouse.connect import connect

    config = load_config(config_file)
    assignment = plan_assignment(config)
    with closing(connect(config.clickhouse)) as client:
        generation = write_assignment(client, assignment, config.limits.start_grace)
    for contract, user in zip(assignment.contracts, assignment.paper_users, strict=True):
        click.echo(f"{contract} -> {user}")
    new = f"generation {generation} written" if generation else "unchanged, nothing written"
    click.echo(f"assignment: {new}")


@main.command()
@_CONFIG
@_PAPER_USER
def stream(config_file: Path | None, paper_user: str) -> None:
    """Stream the ladders of one paper user through the spool into ClickHouse."""
    from ib_platform.streamer.process import run

    _log_to_stderr()
    run(load_config(config_file), paper_user)


@main.command()
@_CONFIG
@_PAPER_USER
def probe(config_file: Path | None, paper_user: str) -> None:
    """Print how many ladders one session of a paper user holds, as its frames have proven."""
    from ib_platform.paths import PodPaths
    from ib_platform.streamer.capability_keeper import read_capability
    from ib_platform.streamer.capability_words import in_words

    _log_to_stderr()
    config = load_config(config_file)
    user = config.paper_user(paper_user)
    file = PodPaths(config.runtime.state_dir, user.name).capability
    for line in in_words(read_capability(file), user.depth_slots, str(file)):
        click.echo(line)


@main.command()
@_CONFIG
@_PAPER_USER
@click.option("--unlock-token", default="", envvar="IB_PLATFORM_UNLOCK_TOKEN",
              help="Another than at a lock ends it; `ib-platform unlock` gives one.")  # fmt: skip
def gateway(config_file: Path | None, paper_user: str, unlock_token: str) -> None:
    """Supervise one paper user's gateway: start it, log in, keep the session, stop it."""
    from ib_platform.config import find_config
    from ib_platform.gateway.supervisor import run

    _log_to_stderr()
    config = load_config(config_file)
    run(config, paper_user, find_config(config_file), unlock_token=unlock_token)


@main.command()
@_CONFIG
@click.argument("paper_user")
def unlock(config_file: Path | None, paper_user: str) -> None:
    """Let PAPER_USER's pod log in again after it was LOCKED or REFUSED_LIVE.

    Correct what was wrong first: username, password or account. The pod is started again.
    """
    from ib_platform.config import find_config
    from ib_platform.fleet.local import LocalRuntime
    from ib_platform.fleet.probe import unlocked_state

    config, file = load_config(config_file), find_config(config_file)
    if (state := unlocked_state(config, paper_user)) is not None:
        click.echo(f"pod {paper_user} is not locked ({state.value}): nothing was done")
        return
    LocalRuntime(config, file).unlock(paper_user)
    click.echo(f"pod {paper_user} has another unlock token and was started again")


@main.command()
@CONFIG_OPTION
@_PAPER_USER
@click.option("--out", type=_FILE, required=True, help="New capture, .jsonl or .jsonl.gz.")
@click.option("--for", "duration", help="How long, like 90s, 10m or 2h; else until stopped.")
@click.option("--symbols", help="Products, like CL,ES; else the paper user's contracts.")
@click.option("--fields", help="Quote fields, like 31,84,86; else those that we record.")
@click.option("--url", help="Another gateway of this machine, like https://127.0.0.1:5000.")
@click.option("--certificate", type=_FILE, help="Its certificate (PEM); nothing else is trusted.")
@click.option("--experiment", "experiments", multiple=True, metavar="NAME",
              help="multiplex, expiry, ubd, resubscribe, second_websocket.")  # fmt: skip
def record(config_file: Path | None, paper_user: str, **options: Any) -> None:
    """Record what a gateway says, masked, into a capture that can be played again."""
    from ib_platform.recorder.app import run
    from ib_platform.recorder.options import record_options
    from ib_platform.simulator.standalone import config_or_default

    _log_to_stderr()
    config, built_in = config_or_default(config_file)
    if built_in:
        click.echo("no ib_platform.yaml here: recording what `ib-platform simulate` serves")
    run(config, paper_user, record_options(**options))


@main.command()
@_CONFIG
@click.option("--trade-date", help="YYYY-MM-DD; the open trade date if left out.")
def compact(config_file: Path | None, trade_date: str | None) -> None:
    """Build depth, bars, gaps and the quality report of one trade date now."""
    from datetime import UTC, date, datetime

    from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
    from ib_platform.warehouse.compact import finalize
    from ib_platform.warehouse.connect import connect

    config = load_config(config_file)
    try:
        day = date.fromisoformat(trade_date) if trade_date else trade_date_of(datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(f"{trade_date!r} is not a date like 2026-11-23") from error
    try:
        trade_date_span(day)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    with closing(connect(config.clickhouse)) as client:
        built = finalize(client, config, day)
    state = "preliminary, the date is still open" if built.preliminary else "final"
    click.echo(f"trade date {day} ({state}), inputs version {built.inputs_version}")
    for table, rows in built.rows.items():
        click.echo(f"{table:16} {rows:>12,} rows")


@main.command()
@_CONFIG
@click.option("--ntp-server", help="Time server for the clock; else pool.ntp.org.")
@click.option("--json", "as_machine_text", is_flag=True, help="Print JSON instead of a table.")
def doctor(config_file: Path | None, ntp_server: str | None, as_machine_text: bool) -> None:
    """Check this machine and the configuration, and explain each finding.

    Asks nothing of a gateway. Exit code 1 when there is a problem; warnings do not count.
    """
    from rich.console import Console

    from ib_platform.doctor.app import as_json, diagnose, exit_code, show
    from ib_platform.doctor.clock import NTP_SERVER

    findings = diagnose(config_file, ntp_server or NTP_SERVER)
    if as_machine_text:
        click.echo(as_json(findings))
    else:
        show(findings, Console())
    sys.exit(exit_code(findings))


if __name__ == "__main__":
    main()
