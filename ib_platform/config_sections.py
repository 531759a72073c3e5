"""The sections of the configuration file, each immutable and strict about unknown keys.

Descriptions and defaults here are what docs/configuration.md shows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ib_platform.config_gateway import Credentials, Name, Port, Section
from ib_platform.config_quality import CheckThresholds
from ib_platform.marketdata.products import calendar_of
from ib_platform.marketdata.sessions import CalendarName

_MONTH = re.compile(r"^(front|next|20\d\d-(0[1-9]|1[0-2]))$")


class PaperUser(Section):
    """One IBKR paper-trading user, hence one brokerage session, hence one pod."""

    name: Name = Field(description="Name of the paper user inside the platform and of its pod")
    username: str = Field(min_length=1, description="IBKR paper username")
    account: str = Field(description="IBKR paper account, begins with D (DU...)")
    depth_slots: int = Field(default=1, ge=1, le=60, description="Ladders the session can hold")
    gateway_port: Port = Field(description="TLS port of this pod's gateway on 127.0.0.1")
    gateway_health_port: Port = Field(description="Plain HTTP health port of the gateway")
    health_port: Port = Field(description="Plain HTTP health port of the streamer")
    credentials: Credentials | None = Field(
        default=None, description="Without them nobody logs in, and an ended login stays ended"
    )

    @field_validator("account")
    @classmethod
    def _only_paper(cls, account: str) -> str:
        if not re.fullmatch(r"D[A-Z]?[0-9]{1,12}", account):
            raise ValueError(
                "a paper account begins with D (like DU1234567); live accounts are refused"
            )
        return account


class Roll(Section):
    """When the word ``front`` begins to mean the next month."""

    rule: Literal["last_trade", "volume"] = Field(
        default="last_trade",
        description="By the calendar, or when the next month trades more than the front month",
    )
    days_before_last_trade: int = Field(
        default=0,
        ge=0,
        le=90,
        description="Days before the last trading day; the latest for volume",
    )


class Contract(Section):
    """One futures product and the months of it whose ladders are recorded."""

    symbol: str = Field(pattern=r"^[A-Z0-9]{1,8}$")
    exchange: str = Field(pattern=r"^[A-Z]{2,12}$")
    months: tuple[str, ...] = Field(default=("front",), min_length=1)
    roll: Roll = Roll()
    priority: int = Field(default=100, ge=0, description="Lower is more important")
    calendar: CalendarName = Field(
        default=CalendarName.CME_GLOBEX,
        description="Trading hours and holidays; unset: those of the product",
    )
    paper_user: Name | None = Field(default=None, description="Pins the contract to a paper user")
    quality: CheckThresholds | None = Field(
        default=None, description="Thresholds of this product, where they are others than `quality`"
    )

    @model_validator(mode="before")
    @classmethod
    def _calendar_of_the_product(cls, given: object) -> object:
        if not isinstance(given, dict) or given.get("calendar") is not None:
            return given
        symbol, exchange = str(given.get("symbol")), str(given.get("exchange"))
        return {**given, "calendar": calendar_of(symbol, exchange)}

    @field_validator("months")
    @classmethod
    def _known_months(cls, months: tuple[str, ...]) -> tuple[str, ...]:
        for month in months:
            if not _MONTH.fullmatch(month):
                raise ValueError(f"month {month!r} is neither 'front', 'next' nor like '2026-12'")
        return months

    @property
    def keys(self) -> tuple[str, ...]:
        """Contract keys, one per month: ``CL.NYMEX.front``."""
        return tuple(f"{self.symbol}.{self.exchange}.{month}" for month in self.months)


class ClickHouse(Section):
    """Where ClickHouse listens, and who we are there."""

    host: str = "127.0.0.1"
    port: Port = 8123
    secure: bool = Field(default=False, description="HTTPS instead of HTTP")
    username: str = "default"
    password_file: Path | None = Field(default=None, description="File with the password, 0600")
    database: str = Field(default="ib", pattern=r"^[a-z_][a-z0-9_]*$")
    embedded_folder: Path | None = Field(
        default=None, description="Data folder of `ib-platform clickhouse`; unset for a server"
    )
    embedded_memory_bytes: int = Field(default=4 * 1024**3, ge=512 * 1024**2)


class Runtime(Section):
    """Where pods run and where their files live."""

    kind: Literal["local"] = "local"
    state_dir: Path = Field(default=Path(".ib_platform"), description="Spools, logs, process files")


class Limits(Section):
    """Times and sizes that operators tune. Seconds unless the name says otherwise."""

    start_grace: float = Field(default=60, gt=0, description="A new assignment is due after this")
    start_budget: float = Field(default=45, gt=0, description="A starting pod is left alone")
    silent_after: float = Field(default=30, gt=0, description="No ladder frame: SILENT")
    ladder_renewal: float | None = Field(
        default=None, ge=60, description="Ask for ladders anew that often; costs 3 s of depth"
    )
    heartbeat_timeout: float = Field(default=25, gt=0, description="No hb: reconnect")
    health_timeout: float = Field(default=2, gt=0, le=5, description="One health call")
    fsync_every: float = Field(default=0.05, gt=0, le=1)
    load_every: float = Field(default=0.2, gt=0, le=60)
    load_rows: int = Field(default=5_000, ge=1, le=1_000_000)
    segment_bytes: int = Field(default=16 * 1024**2, ge=4096)
    segment_seconds: float = Field(
        default=600, ge=1, description="An older segment is closed, so that it can be freed"
    )
    spool_bytes: int = Field(
        default=10 * 1024**3, ge=1024**2, description="Disk that one spool may use"
    )
    keep_loaded: float = Field(
        default=1800, ge=0, description="Loaded segments are kept that long, to be sent again"
    )
    shutdown_deadline: float = Field(default=15, gt=0)
    heartbeat_every: float = Field(default=5, gt=0, description="Rows in `heartbeats`")
    refresh_open_date_every: Literal[1, 5] = Field(default=5, description="Minutes")


_Age = Annotated[int | None, Field(default=None, ge=30)]


class Retention(Section):
    """After how many days old trade dates are exported and dropped. Nothing is, by default."""

    export_folder: Path | None = Field(
        default=None, description="Parquet files go here before anything is dropped"
    )
    frames: _Age = Field(default=None, description="The raw payloads; without them no rebuild")
    ladder_frames: _Age = Field(default=None, description="Decoded ladders; without them neither")
    quote_frames: _Age = Field(default=None, description="Decoded quotes")
    depth: _Age = Field(default=None, description="Book states")
    bars: _Age = Field(default=None, description="Bars of all sizes")

    @property
    def ages(self) -> dict[str, int]:
        """Days by table, of those that are not kept for ever."""
        ages = self.model_dump(exclude={"export_folder"})
        return {table: days for table, days in ages.items() if days is not None}

    @model_validator(mode="after")
    def _exported_first(self) -> Self:
        if self.ages and self.export_folder is None:
            raise ValueError(
                "nothing is dropped that is not exported: set export_folder beside "
                f"{', '.join(self.ages)}"
            )
        return self
