"""Does to the world what the schedule says, when it says so, and notes what was done."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from itertools import count

from ib_platform.simulator.control_client import call
from ib_platform_tests.faults.chaos.evidence import Injected
from ib_platform_tests.faults.chaos.schedule import OF_CLICKHOUSE, Fault, Kind
from ib_platform_tests.faults.chaos.world import World

_LOOK_EVERY = 0.05
Say = Callable[[str], None]
Ending = Callable[[], None]


class Injector:
    """One pass through a schedule. ``done``: in the order of their ends."""

    def __init__(self, world: World, say: Say) -> None:
        self._world = world
        self._say = say
        self._full = False
        self.done: list[Injected] = []

    def run(self, schedule: Sequence[Fault]) -> None:
        """Begin and end every fault at its time; then everything is well again."""
        began = time.monotonic()
        due: list[tuple[float, int, Callable[[], None]]] = []
        numbers = count()

        def plan(at: float, action: Callable[[], None]) -> None:
            heapq.heappush(due, (at, next(numbers), action))

        def begin(fault: Fault) -> None:
            begun_ns = time.monotonic_ns()
            late = time.monotonic() - began - fault.at
            self._say(
                f"{fault.at:7.1f} s {fault.kind} {dict(fault.parameters) or ''} (+{late:.1f})"
            )
            end = self._begin(fault)

            def over() -> None:
                if end is not None:
                    end()
                self.done.append(Injected(fault.kind, begun_ns, time.monotonic_ns()))

            # From when it really began: a busy machine makes no fault shorter.
            plan(time.monotonic() - began + fault.seconds, over)

        for fault in schedule:
            plan(fault.at, lambda fault=fault: begin(fault))  # type: ignore[misc]
        while due:
            while due and due[0][0] <= time.monotonic() - began:
                heapq.heappop(due)[2]()
            self._look()

    def _look(self) -> None:
        if self._full:
            self._world.ballast.fill()
        if self._world.streamer.look():
            self._say("the streamer has ended by itself and is started again")
        time.sleep(_LOOK_EVERY)

    def _begin(self, fault: Fault) -> Ending | None:
        world, kind = self._world, fault.kind
        if kind in OF_CLICKHOUSE and kind is not Kind.CLICKHOUSE_KILLED:
            world.proxy.fail(kind, int(fault.parameters.get("code", 0)))
            return world.proxy.heal
        match kind:
            case Kind.STREAMER_KILLED:
                world.kill_streamer()
            case Kind.SPOOL_TRUNCATED:
                where = float(fault.parameters["file"]), float(fault.parameters["byte"])
                world.kill_streamer(where)
            case Kind.STREAMER_STOPPED:
                pid = world.streamer.stop()
                return lambda: world.streamer.go_on(pid)
            case Kind.CLOCK_STEP:
                world.streamer.step(float(fault.parameters["offset"]))
            case Kind.CLICKHOUSE_KILLED:
                world.kill_clickhouse()
            case Kind.DISK_FULL:
                self._full = True
                world.ballast.fill()
                return self._disk_is_free
            case _:
                self._at_ibkr(fault)
        return None

    def _disk_is_free(self) -> None:
        self._full = False
        self._world.ballast.free()

    def _at_ibkr(self, fault: Fault) -> None:
        kind, parameters = fault.kind.value, dict(fault.parameters)
        lasts = fault.seconds > 0
        if fault.kind is Kind.MALFORMED_FRAMES:
            kind = str(parameters.pop("content"))
            lasts = kind not in ("echo_text", "unknown_topic")
        body: dict[str, object] = {"fault": kind, "parameters": parameters}
        if lasts:
            body["for"] = f"{fault.seconds:.3f}s"
        call(self._world.at_ibkr.control_port, "POST", "/faults", body)
