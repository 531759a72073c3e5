"""The clock and the time zones: the stamps of frames are the product."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Finding, ok, problem, warning
from ib_platform.errors import WarehouseError
from ib_platform.warehouse.connect import connect, warehouse_errors

CLOCK, TIME_ZONES = "clock", "time zones"
NTP_SERVER = "pool.ntp.org"
MOST_SECONDS = 1.0
_TIMEOUT = 3
_NANOS = 1e9
_SYNCHRONISE = "Synchronise the clock: `apt-get install chrony`, or enable systemd-timesyncd."


def check_clock(
    config: PlatformConfig, ntp_server: str = NTP_SERVER, port: int = 123
) -> Iterator[Finding]:
    """Offset against a time server and, where it is another machine, against ClickHouse.

    A machine without network cannot be judged: that is a warning, never a problem.
    """
    yield _against_time_server(ntp_server, port)
    host = config.clickhouse.host
    if not (host in ("localhost", "::1") or host.startswith("127.")):
        yield _against_clickhouse(config)


def _against_time_server(server: str, port: int) -> Finding:
    try:
        import ntplib
    except ModuleNotFoundError:
        return warning(
            CLOCK,
            "the offset is unknown: the Python package ntplib is not installed",
            "Install it: `pip install ntplib`.",
        )
    try:
        offset = float(
            ntplib.NTPClient().request(server, version=3, port=port, timeout=_TIMEOUT).offset
        )
    except (ntplib.NTPException, OSError) as error:
        return warning(
            CLOCK,
            f"the offset is unknown: time server {server} does not answer ({error})",
            "Allow UDP port 123, or name another server with --ntp-server.",
        )
    return _judged(offset, f"time server {server}")


def _against_clickhouse(config: PlatformConfig) -> Finding:
    settings = config.clickhouse
    try:
        client = connect(settings, role="doctor", connect_timeout=2, read_timeout=5)
        with closing(client), warehouse_errors(settings, "read the time"):
            before = time.time()
            ((nanos,),) = client.query("SELECT toUnixTimestamp64Nano(now64(9))").result_rows
            after = time.time()
    except WarehouseError as error:
        return warning(
            CLOCK, f"ClickHouse cannot be asked: {error}", "See the check of ClickHouse."
        )
    return _judged(int(nanos) / _NANOS - (before + after) / 2, f"ClickHouse at {settings.host}")


def _judged(offset: float, reference: str) -> Finding:
    """``offset``: seconds that the reference is ahead of this machine."""
    ahead = "behind" if offset > 0 else "ahead of"
    text = f"this machine is {abs(offset):.3f} s {ahead} {reference}"
    if abs(offset) > MOST_SECONDS:
        means = "every frame gets a wrong time, which nothing can correct later"
        return problem(CLOCK, f"{text}: {means}", _SYNCHRONISE)
    return ok(CLOCK, text)


def check_time_zones(config: PlatformConfig) -> Iterator[Finding]:
    """The zones in use exist, and know their summer time."""
    zones = sorted(
        {"America/Chicago", *(o.timezone for o in config.gateway.session.expected_outages)}
    )
    for name in zones:
        try:
            zone = ZoneInfo(name)
        except ZoneInfoNotFoundError:
            yield problem(
                TIME_ZONES,
                f"{name} is not in the time zone database; trade dates cannot be told",
                "Install it: `pip install tzdata`, or `apt-get install tzdata`.",
            )
            return
        if name == "America/Chicago" and (hours := _offsets(zone)) != (-6, -5):
            yield problem(
                TIME_ZONES,
                f"{name} is {hours} hours from UTC in winter and summer, not (-6, -5); frames get "
                "a wrong trade date",
                "Replace the time zone database: `pip install --force-reinstall tzdata`.",
            )
            return
    yield ok(TIME_ZONES, f"{', '.join(zones)} known")


def _offsets(zone: ZoneInfo) -> tuple[float, float]:
    instants = (datetime(2026, month, 15, tzinfo=UTC).astimezone(zone) for month in (1, 7))
    winter, summer = ((at.utcoffset() or timedelta()) / timedelta(hours=1) for at in instants)
    return winter, summer
