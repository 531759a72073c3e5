"""A real streamer over a real websocket at a simulated IBKR with faults, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.health import ContractHealth, StreamerHealth
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.frames import LADDER, classify
from ib_platform.paths import PodPaths
from ib_platform.states import StreamEventKind
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, decode_event
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.pod_processes import PodProcess, health_of, running, write_config
from ib_platform_tests.streamer.app_bench import (
    CL,
    ES,
    Content,
    assign,
    assign_on_disk,
    events_of,
    records_of,
    streaming,
)
from ib_platform_tests.support import wait_until

NANOS = 1_000_000_000


class StreamBench:
    """Paper user alpha's streamer; what it did is read from its spool and its health."""

    def __init__(self, at_ibkr: SimulatorProcess, config: PlatformConfig, file: Path) -> None:
        self.at_ibkr = at_ibkr
        self.config = config
        self.file = file
        self.user = config.paper_user("alpha")
        self.paths = PodPaths(config.runtime.state_dir, "alpha")

    @contextmanager
    def streaming(self, name: str = "stream") -> Iterator[PodProcess]:
        """A streamer of whose contracts each has sent frames; it has to end in order."""
        with self.started(name) as process:
            streaming(self.user, process, frames=5)
            yield process

    @contextmanager
    def started(self, name: str = "stream") -> Iterator[PodProcess]:
        with running("stream", self.file, name=name) as process:
            yield process
            assert process.stop() == 0, process.output()[-3000:]
            assert "Traceback" not in process.output(), process.output()[-3000:]

    def health(self) -> StreamerHealth | None:
        return health_of(self.user.health_port, StreamerHealth)

    def contract(self, key: str) -> ContractHealth:
        """What its health says of the contract; an empty one while it says nothing."""
        health = self.health()
        return ContractHealth() if health is None else health.contracts.get(key, ContractHealth())

    def until(
        self, key: str, wanted: Callable[[ContractHealth], bool], what: str, timeout: float = 60
    ) -> ContractHealth:
        def look() -> ContractHealth | None:
            contract = self.contract(key)
            return contract if wanted(contract) else None

        found = wait_until(look, f"{key}: {what}", timeout)
        assert found is not None
        return found

    def events(self, kind: StreamEventKind, key: str | None = None) -> list[StreamEvent]:
        found = [event for event in events_of(self.config) if event.kind is kind]
        return [e for e in found if key is None or e.contract == key]

    def event_records(self) -> list[tuple[Record, StreamEvent]]:
        """Events with their stamps."""
        return [
            (record, decode_event(record.payload))
            for record in records_of(self.config)
            if record.kind is RecordKind.EVENT
        ]

    def ladder_times(self, key: str) -> list[float]:
        """Monotonic seconds of the contract's ladder frames."""
        conid = self.contract(key).conid
        times = []
        for record in records_of(self.config):
            if record.kind is RecordKind.FRAME:
                kind = classify(record.payload)
                if kind.topic == LADDER and kind.conid == conid:
                    times.append(record.monotonic_ns / NANOS)
        return times


def begin_session(at_ibkr: SimulatorProcess) -> None:
    """What the supervisor does in a pod: nobody supervises here."""

    async def initialise() -> None:
        tls = client_ssl_context(at_ibkr.certificate)
        async with GatewayClient(at_ibkr.user.gateway_port, tls) as client:
            await client.ssodh_init()

    asyncio.run(initialise())
    wait_until(lambda: at_ibkr.session()["authenticated"], "a brokerage session")


@contextmanager
def stream_bench(
    folder: Path,
    *contracts: str,
    limits: dict[str, Any] | None = None,
    clickhouse: ClickHouse | None = None,
    **behaviour: Any,
) -> Iterator[StreamBench]:
    """``behaviour``: of the simulated IBKR. Without ``clickhouse`` the database is away and the
    assignment is the disk's copy."""
    with simulator(folder, **behaviour) as at_ibkr:
        quick = {"silent_after": 5, "shutdown_deadline": 1, "heartbeat_every": 1} | (limits or {})
        begin_session(at_ibkr)
        chosen: dict[str, Any] = {"limits": at_ibkr.config.limits.model_copy(update=quick)}
        if clickhouse is not None:
            chosen["clickhouse"] = clickhouse
            assign(clickhouse, Content(contracts or (CL, ES)))
        config = at_ibkr.config.model_copy(update=chosen)
        if clickhouse is None:
            password = config.clickhouse.password_file
            assert password is not None
            password.parent.mkdir(exist_ok=True)
            password.write_text("x")
            assign_on_disk(config, *(contracts or (CL, ES)))
        own = folder / "streamer"
        own.mkdir()
        yield StreamBench(at_ibkr, config, write_config(config, own))
