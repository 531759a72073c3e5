"""The command ``ib-platform fault``. What it needs is imported when it runs."""

from __future__ import annotations

import json
from typing import Any

import click

from ib_platform.errors import ConfigurationError
from ib_platform.simulator.cli import CONFIG_OPTION

_PORT = click.IntRange(1, 65535)


@click.command()
@click.argument("kind", required=False)
@CONFIG_OPTION
@click.option("--paper-user", help="Only this one; else everybody.")
@click.option("--for", "duration", help="How long, like 30s or 5m of simulated time; else until "
              "it is cleared.")  # fmt: skip
@click.option("--symbol", help="Only ladders and quotes of this product, like CL.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option("--play", metavar="SCENARIO", help="Play the faults of a named scenario from now on.")
@click.option("--active", is_flag=True, help="Print what is active.")
@click.option("--state", is_flag=True, help="Print users, sessions, ladders and penalties.")
@click.option("--clear", is_flag=True, help="End all active faults and what is being played.")
@click.option("--list", "list_kinds", is_flag=True, help="Print the kinds of faults and end.")
@click.option("--control-port", type=_PORT, help="Of the simulator; else its own note tells.")
def fault(kind: str | None, list_kinds: bool, **options: Any) -> None:
    """Inject a fault into a running simulator or demo."""
    from ib_platform.simulator import control_client
    from ib_platform.simulator.standalone import config_or_default

    chosen = [kind, options["play"], options["active"], options["state"], options["clear"]]
    if list_kinds:
        return _print_kinds()
    if sum(map(bool, chosen)) != 1:
        raise click.UsageError(
            "name one KIND of fault (--list prints them), or --play, --active, --state or --clear"
        )
    if kind is not None:
        _check_kind(kind)
    paper_user = options["paper_user"]
    if (port := options["control_port"]) is not None:
        ports: dict[int, list[str]] = {port: []}
    else:
        config, _ = config_or_default(options["config_file"])
        ports = control_client.control_ports(config, paper_user)
    for each, names in ports.items():
        # Pods have a simulator each; nobody wants to hear the name of the only one.
        whose = f"{', '.join(names)}: " if len(ports) > 1 else ""
        for line in _do(each, kind, paper_user, options).splitlines():
            click.echo(whose + line)


def _check_kind(kind: str) -> None:
    from ib_platform.simulator.fault_kinds import kind_called

    try:
        kind_called(kind)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _do(port: int, kind: str | None, paper_user: str | None, options: dict[str, Any]) -> str:
    """One request to one simulator; what to print."""
    from ib_platform.simulator.control_client import call, settings_of

    if options["clear"]:
        stopped = call(port, "DELETE", "/scenario")["stopped"]
        ended = call(port, "DELETE", "/faults")["ended"]
        return f"{ended} faults ended" + "".join(f", scenario {name} stopped" for name in stopped)
    if options["state"]:
        return json.dumps(call(port, "GET", "/state"), indent=2)
    if options["active"]:
        active = call(port, "GET", "/faults")["active"]
        return "\n".join(_described(fault, left=True) for fault in active) or "no fault is active"
    if options["play"]:
        playing = call(port, "POST", "/scenario", {"name": options["play"]})
        note = playing.get("not_applied")
        rest = f"; not in a running simulator: its {', '.join(note)}" if note else ""
        return f"playing {playing['playing']}, {playing['faults']} faults{rest}"
    body = {
        "fault": kind,
        "for": options["duration"],
        "paper_user": paper_user,
        "symbol": options["symbol"],
        "parameters": settings_of(options["settings"]),
    }
    begun = call(port, "POST", "/faults", {k: v for k, v in body.items() if v is not None})
    return _described(begun)


def _described(fault: dict[str, Any], *, left: bool = False) -> str:
    """``fault 3: silent_ladder of papera01 for CL, 30 s``; ``left``: seconds that remain."""
    words = [f"fault {fault['number']}: {fault['fault']}"]
    if fault["username"] is not None:
        words.append(f"of {fault['username']}")
    if fault["symbol"] is not None:
        words.append(f"for {fault['symbol']}")
    words += [f"{name}={value}" for name, value in fault["parameters"].items()]
    remaining = fault["remaining"]
    if fault["instant"]:
        lasts = "over at once"
    elif remaining is None:
        lasts = "until it is cleared"
    else:
        lasts = f"{round(remaining, 1):g} s" + (" left" if left else "")
    return " ".join(words) + f", {lasts}"


def _print_kinds() -> None:
    from ib_platform.simulator.fault_kinds import SPECS, Subject

    for subject in Subject:
        click.echo(f"{subject.value}:")
        for kind, spec in SPECS.items():
            if spec.subject is subject:
                click.echo(f"  {kind.value:20} {spec.does}")
                for name, parameter in spec.parameters.items():
                    allowed = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
                    click.echo(
                        f"  {'':20}   {name}={parameter.default}: {parameter.meaning}{allowed}"
                    )
