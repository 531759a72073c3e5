"""The embedded ClickHouse: chDB behind ClickHouse's own HTTP interface, for one machine.

Everything else speaks to it as to a server, with clickhouse-connect. It listens on 127.0.0.1 only
and asks for a password, since SQL can read every file of this user. kill -9 is safe: whatever was
acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import SecretStr

from ib_platform.config import ClickHouse
from ib_platform.errors import (
    ConfigurationError,
    MissingDependencyError,
    PlatformError,
    PlatformInUseError,
    WarehouseError,
)
from ib_platform.warehouse.embedded_folder import (
    ensure_password,
    owned,
    prepare_folder,
    write_engine_config,
)

if TYPE_CHECKING:
    from ib_platform.warehouse.embedded_engine import Engine

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
STOP_PATIENCE = 4.0
MAX_HEADER_LINE = 1024**2
READ_BUFFER = 256 * 1024


def serve(settings: ClickHouse) -> None:
    """Run the embedded ClickHouse until SIGTERM or SIGINT; call it in the main thread.

    Prints one line when it answers. A stop finishes the running statements, or cancels them after
    a few seconds, and closes the engine.

    Raises:
        ConfigurationError: the settings name no folder, no password file or another machine, or
            the folder cannot be used.
        MissingDependencyError: chDB is not installed.
        PlatformInUseError: another process owns the folder or the port.
        WarehouseError: the engine cannot open its data.
    """
    _check_address(settings)
    folder = prepare_folder(settings)
    with owned(folder):
        password = ensure_password(settings)
        _require_engine()
        with _listen(settings.port) as listener:
            engine = _open_engine(folder, settings.embedded_memory_bytes)
            clean = asyncio.run(_serve(engine, settings, password, listener, folder))
        if clean:
            engine.close()
            return
    logger.warning("a statement would not end; leaving without closing the engine")
    os._exit(1)


def _check_address(settings: ClickHouse) -> None:
    if settings.host not in (ADDRESS, "localhost") or settings.secure:
        raise ConfigurationError(
            f"the embedded ClickHouse listens on {ADDRESS} without TLS only; clickhouse.host is "
            f"{settings.host!r}, clickhouse.secure is {settings.secure}. Correct them, or use "
            "that server."
        )


def _require_engine() -> None:
    try:
        import chdb  # noqa: F401
        import lz4.frame  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"the embedded ClickHouse needs the package {error.name}: "
            "pip install 'ib-platform[embedded]'"
        ) from error


def _listen(port: int) -> socket.socket:
    """Take the port before the engine is opened, which costs a second."""
    try:
        return socket.create_server((ADDRESS, port), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PlatformInUseError(
                f"port {port} of {ADDRESS} is taken by another program. Stop it, or set another "
                "clickhouse.port."
            ) from error
        raise ConfigurationError(
            f"cannot listen on {ADDRESS}:{port} ({error.strerror}). Set another clickhouse.port."
        ) from error


def _open_engine(folder: Path, memory_bytes: int) -> Engine:
    from ib_platform.warehouse.embedded_engine import Engine
    from ib_platform.warehouse.embedded_protocol import EngineError

    config_file = write_engine_config(folder, memory_bytes)
    try:
        return Engine(folder / "data", config_file)
    except EngineError as error:
        raise WarehouseError(
            f"{folder}: the engine cannot open its data: {error.text}. Data of a newer version "
            "need that version; move the folder away to start empty."
        ) from error


async def _serve(
    engine: Engine,
    settings: ClickHouse,
    password: SecretStr,
    listener: socket.socket,
    folder: Path,
) -> bool:
    """Answer requests until a signal comes; whether every statement ended in time."""
    from ib_platform.warehouse.embedded_http import Endpoint

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    endpoint = Endpoint(engine, settings.username, password)
    runner = web.AppRunner(
        endpoint.application(),
        access_log=None,
        # Encodings are ours to undo (lz4 is not HTTP's), piece by piece.
        auto_decompress=False,
        # A client that goes away cancels its handler, and that its statement.
        handler_cancellation=True,
        # Parameters and settings travel in the address.
        max_line_size=MAX_HEADER_LINE,
        max_field_size=MAX_HEADER_LINE,
        read_bufsize=READ_BUFFER,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    site = web.SockSite(runner, listener)
    await site.start()
    expiring = asyncio.create_task(endpoint.expire_sessions(every=10))
    print(
        f"embedded ClickHouse {engine.version} on http://{ADDRESS}:{settings.port}, "
        f"data in {folder}",
        flush=True,
    )
    await stop.wait()
    expiring.cancel()
    with suppress(asyncio.CancelledError):
        await expiring
    clean = await endpoint.drain(STOP_PATIENCE)
    await runner.cleanup()
    return clean


def main(arguments: list[str]) -> int:
    """``python -m ib_platform.warehouse.embedded FILE``: serve the settings in a JSON file."""
    if len(arguments) != 1:
        print("usage: python -m ib_platform.warehouse.embedded SETTINGS.json", file=sys.stderr)
        return 2
    try:
        serve(ClickHouse.model_validate_json(Path(arguments[0]).read_bytes()))
    except PlatformError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
