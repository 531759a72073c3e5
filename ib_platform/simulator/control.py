"""The control endpoint: look at a running simulation and inject faults, on a port of its own.

Plain HTTP on 127.0.0.1, JSON in and out. IBKR has nothing like it, hence it stands apart from the
gateway's port. It answers loopback names only and takes JSON bodies only, so that no web page can
reach it through a browser. It never shows passwords, tokens or session ids.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from pydantic import ValidationError

from ib_platform.errors import ConfigurationError
from ib_platform.simulator.drill import Player, begin, username_of
from ib_platform.simulator.fault_kinds import SPECS
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.guard import Handler, reply
from ib_platform.simulator.scenario import ScheduledFault
from ib_platform.simulator.scenario_library import load_scenario, plain_scenario, scenario_names
from ib_platform.simulator.world import World
from ib_platform.simulator.world_state import fault_shape, world_state

_LOOPBACK = ("127.0.0.1", "localhost")
_OF_THE_START = ("behaviour", "users", "scripted", "clock")
"""Parts of a scenario that a running simulation cannot take over."""
_LARGEST_BODY = 64 * 1024


class Control:
    """Handlers over one world. ``usernames``: by name of the paper user. ``player``: of its
    scenarios."""

    def __init__(
        self,
        world: World,
        usernames: Mapping[str, str],
        player: Player,
    ) -> None:
        self._world = world
        self._usernames = dict(usernames)
        self._player = player

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_guard], client_max_size=_LARGEST_BODY)
        app.add_routes(
            [
                web.get("/", self.help),
                web.get("/state", self.state),
                web.get("/record", self.record),
                web.get("/scenarios", self.scenarios),
                web.get("/faults/kinds", self.kinds),
                web.get("/faults", self.active),
                web.post("/faults", self.begin),
                web.delete("/faults", self.clear),
                web.delete(r"/faults/{number:[0-9]{1,9}}", self.stop),
                web.post("/scenario", self.scenario),
                web.delete("/scenario", self.stop_scenarios),
            ]
        )
        return app

    async def help(self, _: web.Request) -> web.Response:
        return reply(
            {
                "GET /state": "users, logins, sessions, ladders, penalties, faults, clock",
                "GET /record": "frames written to each user's websockets",
                "GET /faults": "what is active",
                "GET /faults/kinds": "what there is",
                "POST /faults": 'begin one: {"fault":"silent_ladder","for":"30s","symbol":"CL"}',
                "DELETE /faults/NUMBER": "end one",
                "DELETE /faults": "end all",
                "GET /scenarios": "names",
                "POST /scenario": 'play its faults from now on: {"name":"flaky_evening"}',
                "DELETE /scenario": "stop playing; active faults go on",
            }
        )

    async def state(self, _: web.Request) -> web.Response:
        return reply({"playing": self._player.playing} | world_state(self._world, self._usernames))

    async def record(self, _: web.Request) -> web.Response:
        return reply(
            {user.username: self._world.record(user.username) for user in self._world.users}
        )

    async def scenarios(self, _: web.Request) -> web.Response:
        return reply({name: load_scenario(name).description for name in scenario_names()})

    async def kinds(self, _: web.Request) -> web.Response:
        return reply(
            {
                kind: {
                    "subject": spec.subject,
                    "instant": spec.instant,
                    "by_symbol": spec.by_symbol,
                    "parameters": {name: p.default for name, p in spec.parameters.items()},
                    "does": spec.does,
                    "at_ibkr": spec.at_ibkr,
                }
                for kind, spec in SPECS.items()
            }
        )

    async def active(self, _: web.Request) -> web.Response:
        return reply({"active": self._active()})

    async def begin(self, request: web.Request) -> web.Response:
        """201 with the fault; an instant one is over already."""
        body = await _json_object(request)
        fault = ScheduledFault.model_validate({"at": 0} | body)
        if fault.every is not None or fault.at or fault.probability != 1:
            raise ValueError(
                "'at', 'every' and 'probability' belong into a scenario; here a fault begins now"
            )
        return reply(self._shape(begin(self._world, fault, self._usernames)), 201)

    async def clear(self, _: web.Request) -> web.Response:
        return reply({"ended": self._world.faults.clear()})

    async def stop(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if not self._world.faults.stop(number):
            return reply({"error": f"no active fault {number}", "active": self._active()}, 404)
        return reply({"ended": 1})

    async def scenario(self, request: web.Request) -> web.Response:
        """Play the faults of a scenario from now on. Its behaviour, users, books and clock hold
        only for a simulator that was started with it."""
        name = (await _json_object(request)).get("name")
        if not isinstance(name, str) or name not in scenario_names():
            near = difflib.get_close_matches(str(name), scenario_names(), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"no scenario {name!r}{hint}: only those of the platform can be played in a "
                f"running simulation: {', '.join(scenario_names())}"
            )
        scenario = load_scenario(name)
        for fault in scenario.faults:
            username_of(self._world, fault, self._usernames)
        self._player.start(scenario)
        plain = plain_scenario()
        rest = [part for part in _OF_THE_START if getattr(scenario, part) != getattr(plain, part)]
        return reply({"playing": name, "faults": len(scenario.faults), "not_applied": rest}, 201)

    async def stop_scenarios(self, _: web.Request) -> web.Response:
        """Nothing of them begins any more; active faults go on."""
        return reply({"stopped": self._player.stop()})

    def _active(self) -> list[dict[str, object]]:
        return [self._shape(fault) for fault in self._world.faults.all(self._world.clock.now())]

    def _shape(self, fault: Fault) -> dict[str, object]:
        return fault_shape(fault, self._world.clock.now())


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not _is_local(request.headers.get("Host", "")):
        return reply({"error": "only for this machine: call it as 127.0.0.1"}, 403)
    try:
        return await handler(request)
    except ValidationError as error:
        return reply({"error": _problems(error)}, 400)
    except (ValueError, ConfigurationError) as error:
        return reply({"error": str(error)}, 400)
    except web.HTTPException as error:
        return reply({"error": error.reason, "help": "GET / lists the calls"}, error.status)


def _is_local(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:
        return False


async def _json_object(request: web.Request) -> dict[str, object]:
    if request.content_type != "application/json":
        raise ValueError("send a JSON object with Content-Type: application/json")
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("send a JSON object")
    return body


def _problems(error: ValidationError) -> str:
    found = []
    for item in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        found.append(f"{key}: {message}" if key else message)
    return "; ".join(found)
