"""The processes that the chaos befalls: simulated IBKR, streamer, ClickHouse, a proxy between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.errors import GatewayError, PlatformError
from ib_platform.health import StreamerHealth
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform.streamer.decode import TABLES
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.conformance.simulator_process import SimulatorProcess, simulator
from ib_platform_tests.faults.chaos.disk import Ballast, frames_of, small_disk, truncate
from ib_platform_tests.faults.chaos.evidence import FrameId
from ib_platform_tests.faults.chaos.proxy import ClickHouseProxy
from ib_platform_tests.faults.chaos.streamer import ChaosStreamer
from ib_platform_tests.pod_processes import health_of, write_config
from ib_platform_tests.streamer.app_bench import assign
from ib_platform_tests.streamer.stream_bench import begin_session
from ib_platform_tests.support import wait_until
from ib_platform_tests.warehouse.server import EmbeddedServer

LIMITS = {
    "heartbeat_timeout": 12,
    "silent_after": 20,
    "shutdown_deadline": 90,
    "segment_bytes": 128 * 1024,
    "keep_loaded": 30,
    "load_every": 0.5,
    "load_rows": 1000,
}
LIVELY = {"cadence": 0.06, "quotes": {"sampled_every": 0.1}}
"""Frames come five times as often as at IBKR: more of them meet each fault."""
_KEEP_ALIVE_EVERY = 5.0
_NO_MERGES = (
    "ALTER TABLE {table} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1, "
    "max_bytes_to_merge_at_min_space_in_pool = 1, parts_to_delay_insert = 100000, "
    "parts_to_throw_insert = 100000"
)
"""Merges would hide rows that arrived twice; SYSTEM STOP MERGES does not outlive a kill."""


@dataclass
class World:
    """``kept`` and ``cut`` as in ``Evidence``."""

    folder: Path
    at_ibkr: SimulatorProcess
    sent_log: Path
    clickhouse: EmbeddedServer
    warehouse: ClickHouse
    config: PlatformConfig
    proxy: ClickHouseProxy
    streamer: ChaosStreamer
    ballast: Ballast
    kept: set[FrameId] = field(default_factory=set)
    cut: set[FrameId] = field(default_factory=set)

    @property
    def spool(self) -> Path:
        return PodPaths(self.config.runtime.state_dir, "alpha").spool

    def kill_streamer(self, cut: tuple[float, float] | None = None) -> None:
        """SIGKILL; note what its spool holds; cut one of its files (share of the files, share of
        the length); start it again, as the sensor would."""
        self.streamer.kill()
        self.kept |= frames_of(self.spool, "alpha")
        if cut is not None:
            self.cut |= truncate(self.spool, "alpha", *cut)
        self.streamer.start()

    def kill_clickhouse(self) -> None:
        """SIGKILL; start it again, as the demo does. It answers some seconds later."""
        self.clickhouse.kill()
        self.clickhouse.launch()

    def health(self) -> StreamerHealth | None:
        return health_of(self.config.paper_user("alpha").health_port, StreamerHealth)

    def streams(self) -> bool:
        health = self.health()
        return health is not None and health.state is PodState.STREAMING

    def is_loaded(self) -> bool:
        """Whether it streams and ClickHouse has all but the last moment of it."""
        health = self.health()
        return (
            health is not None
            and health.state is PodState.STREAMING
            and health.loader.state in ("loading", "idle")
            and (health.loader.lag_seconds or 0.0) < 5
        )


@contextmanager
def chaos_world(folder: Path) -> Iterator[tuple[World, bool]]:
    """Everything runs, two ladders stream. And whether the spool's disk is a small one."""
    sent_log = folder / "sent.jsonl"
    database = folder / "clickhouse"
    database.mkdir()
    with (
        small_disk(folder / "spool") as is_small,
        EmbeddedServer(database) as clickhouse,
        simulator(folder, options=["--sent-log", str(sent_log)], **LIVELY) as at_ibkr,
        ClickHouseProxy(clickhouse.settings.port) as proxy,
    ):
        warehouse = clickhouse.settings
        migrate(warehouse)
        with closing(clickhouse.connect(database=warehouse.database)) as client:
            for table in TABLES:
                client.command(_NO_MERGES.format(table=table))
        assign(warehouse)
        limits = at_ibkr.config.limits.model_copy(update=LIMITS)
        behind = warehouse.model_copy(update={"port": proxy.port})
        config = at_ibkr.config.model_copy(update={"clickhouse": behind, "limits": limits})
        own = folder / "streamer"
        own.mkdir()
        begin_session(at_ibkr)
        streamer = ChaosStreamer(write_config(config, own), own)
        world = World(
            folder,
            at_ibkr,
            sent_log,
            clickhouse,
            warehouse,
            config,
            proxy,
            streamer,
            Ballast(folder / "spool"),
        )
        with _session_kept(at_ibkr):
            streamer.start()
            try:
                wait_until(world.streams, "a streaming pod", timeout=180)
                yield world, is_small
            finally:
                if streamer.runs:
                    streamer.kill()


@contextmanager
def _session_kept(at_ibkr: SimulatorProcess) -> Iterator[None]:
    """What the supervisor does in a pod: tickle, and initialise a session that has ended."""
    over = threading.Event()

    async def keep() -> None:
        tls = client_ssl_context(at_ibkr.certificate)
        async with GatewayClient(at_ibkr.user.gateway_port, tls) as client:
            while not over.is_set():
                with suppress(GatewayError, PlatformError):
                    await client.tickle()
                    if not (await client.auth_status()).usable:
                        await client.ssodh_init()
                await asyncio.to_thread(over.wait, _KEEP_ALIVE_EVERY)

    thread = threading.Thread(target=lambda: asyncio.run(keep()), name="keeper")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
