"""PlatformConfig: one YAML file plus environment variables, validated at load.

Environment variables override the file: ``IB_PLATFORM__CLICKHOUSE__PORT=8124``. The file is named
by ``--config``, else by ``IB_PLATFORM_CONFIG``, else ``ib_platform.yaml`` in the current folder.
Every error names the file, the line, the key, what is wrong and what is allowed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ib_platform.config_errors import describe_validation_error, load_yaml_with_lines
from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.calendar import CalendarName

CONFIG_VARIABLE = "IB_PLATFORM_CONFIG"
DEFAULT_CONFIG = Path("ib_platform.yaml")
ENVIRONMENT_PREFIX = "IB_PLATFORM__"
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
_MONTH = re.compile(r"^(front|next|20\d\d-(0[1-9]|1[0-2]))$")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperUser(_Section):
    """One IBKR paper-trading user, hence one brokerage session, hence one pod."""

    name: Name = Field(description="Name of the paper user inside the platform and of its pod")
    username: str = Field(min_length=1, description="IBKR paper username")
    account: str = Field(description="IBKR paper account, begins with D (DU...)")
    depth_slots: int = Field(default=1, ge=1, le=60, description="Ladders the session can hold")
    gateway_port: Port = Field(description="TLS port of this pod's gateway on 127.0.0.1")
    gateway_health_port: Port = Field(description="Plain HTTP health port of the gateway")
    health_port: Port = Field(description="Plain HTTP health port of the streamer")

    @field_validator("account")
    @classmethod
    def _only_paper(cls, account: str) -> str:
        if not re.fullmatch(r"D[A-Z]?[0-9]{1,12}", account):
            raise ValueError(
                "a paper account begins with D (like DU1234567); live accounts are refused"
            )
        return account


class Contract(_Section):
    """One futures product and the months of it whose ladders are recorded."""

    symbol: str = Field(pattern=r"^[A-Z0-9]{1,8}$")
    exchange: str = Field(pattern=r"^[A-Z]{2,12}$")
    months: tuple[str, ...] = Field(default=("front",), min_length=1)
    priority: int = Field(default=100, ge=0, description="Lower is more important")
    calendar: CalendarName = CalendarName.CME_GLOBEX
    paper_user: Name | None = Field(default=None, description="Pins the contract to a paper user")

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


class ClickHouse(_Section):
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


class SimulatedGateway(_Section):
    """What the simulator plays when ``gateway.program`` is ``simulator``."""

    seed: int = 1
    replay: Path | None = Field(default=None, description="Recorded capture (.jsonl or .jsonl.gz)")
    replay_paper_user: Name | None = Field(default=None, description="Who plays it; else the first")
    speed: float = Field(default=1.0, gt=0, description="Time scale of the replay")
    max_pause: float | None = Field(default=None, gt=0, description="Longest pause, seconds")


class Gateway(_Section):
    """The gateway program that each pod's supervisor runs."""

    program: Literal["simulator"] = "simulator"
    simulator: SimulatedGateway = SimulatedGateway()


class Runtime(_Section):
    """Where pods run and where their files live."""

    kind: Literal["local"] = "local"
    state_dir: Path = Field(default=Path(".ib_platform"), description="Spools, logs, process files")


class Limits(_Section):
    """Times and sizes that operators tune. Seconds unless the name says otherwise."""

    start_grace: float = Field(default=60, gt=0, description="A new assignment is due after this")
    start_budget: float = Field(default=45, gt=0, description="A starting pod is left alone")
    silent_after: float = Field(default=30, gt=0, description="No ladder frame: SILENT")
    heartbeat_timeout: float = Field(default=25, gt=0, description="No hb: reconnect")
    health_timeout: float = Field(default=2, gt=0, le=5, description="One health call")
    fsync_every: float = Field(default=0.05, gt=0, le=1)
    load_every: float = Field(default=0.2, gt=0, le=60)
    load_rows: int = Field(default=5_000, ge=1, le=1_000_000)
    segment_bytes: int = Field(default=16 * 1024**2, ge=4096)
    shutdown_deadline: float = Field(default=15, gt=0)
    heartbeat_every: float = Field(default=5, gt=0, description="Rows in `heartbeats`")
    refresh_open_date_every: Literal[1, 5] = Field(default=5, description="Minutes")


class PlatformConfig(BaseSettings):
    """The whole configuration. Immutable."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    paper_users: tuple[PaperUser, ...] = Field(min_length=1)
    contracts: tuple[Contract, ...] = Field(min_length=1)
    clickhouse: ClickHouse = ClickHouse()
    gateway: Gateway = Gateway()
    runtime: Runtime = Runtime()
    limits: Limits = Limits()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @model_validator(mode="after")
    def _unique(self) -> Self:
        users = self.paper_users
        _refuse_repeats("paper_users", "name", (u.name for u in users))
        _refuse_repeats("paper_users", "username", (u.username.lower() for u in users))
        _refuse_repeats("paper_users", "account", (u.account for u in users))
        ports = [p for u in users for p in (u.gateway_port, u.gateway_health_port, u.health_port)]
        _refuse_repeats("paper_users", "port", (str(p) for p in ports))
        _refuse_repeats("contracts", "contract", (key for c in self.contracts for key in c.keys))
        return self

    @model_validator(mode="after")
    def _known_paper_users(self) -> Self:
        names = {user.name for user in self.paper_users}
        wanted = [contract.paper_user for contract in self.contracts]
        wanted.append(self.gateway.simulator.replay_paper_user)
        for name in wanted:
            if name is not None and name not in names:
                raise ValueError(f"paper user {name!r} is not one of {sorted(names)}")
        return self

    def paper_user(self, name: str) -> PaperUser:
        """The paper user called ``name``; ConfigurationError lists the known ones."""
        for user in self.paper_users:
            if user.name == name:
                return user
        known = ", ".join(user.name for user in self.paper_users)
        raise ConfigurationError(f"no paper user {name!r} in the configuration; known: {known}")

    def contract_of(self, key: str) -> Contract:
        """The contract that the key ``SYMBOL.EXCHANGE.month`` belongs to."""
        for contract in self.contracts:
            if key in contract.keys:
                return contract
        known = ", ".join(key for contract in self.contracts for key in contract.keys)
        raise ConfigurationError(f"no contract {key!r} in the configuration; known: {known}")


def _refuse_repeats(section: str, what: str, values: Iterable[str]) -> None:
    repeated = sorted(value for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise ValueError(f"{section}: {what} {', '.join(repeated)} appears more than once")


def find_config(path: Path | None = None) -> Path:
    """The configuration file to use; see the module's docstring for the order."""
    return path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def load_config(path: Path | None = None) -> PlatformConfig:
    """Read and validate the configuration. Relative paths in it are relative to the file.

    Raises:
        ConfigurationError: unreadable, not YAML, or not valid; the message lists every problem.
    """
    file = find_config(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read ({error.strerror}). Name a file with --config or "
            f"{CONFIG_VARIABLE}; docs/configuration.md has a complete example."
        ) from error
    data, lines = load_yaml_with_lines(text, file)
    try:
        config = PlatformConfig(**data)
    except SettingsError as error:
        raise ConfigurationError(
            f"an environment variable {ENVIRONMENT_PREFIX}... cannot be read: {error}. Sections "
            f"are set key by key, like {ENVIRONMENT_PREFIX}CLICKHOUSE__PORT=8124"
        ) from error
    except ValidationError as error:
        raise ConfigurationError(describe_validation_error(error, file, lines)) from error
    return _with_absolute_paths(config, file.resolve().parent)


def _with_absolute_paths(config: PlatformConfig, base: Path) -> PlatformConfig:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (base / path.expanduser()).resolve()

    clickhouse = config.clickhouse.model_copy(
        update={
            "password_file": absolute(config.clickhouse.password_file),
            "embedded_folder": absolute(config.clickhouse.embedded_folder),
        }
    )
    simulated = config.gateway.simulator
    simulated = simulated.model_copy(update={"replay": absolute(simulated.replay)})
    gateway = config.gateway.model_copy(update={"simulator": simulated})
    runtime = config.runtime.model_copy(update={"state_dir": absolute(config.runtime.state_dir)})
    return config.model_copy(
        update={"clickhouse": clickhouse, "gateway": gateway, "runtime": runtime}
    )


def dump_config(config: PlatformConfig) -> str:
    """The configuration as YAML that ``load_config`` reads back to an equal value."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


__all__: Sequence[str] = (
    "CONFIG_VARIABLE",
    "ClickHouse",
    "Contract",
    "Gateway",
    "Limits",
    "PaperUser",
    "PlatformConfig",
    "Runtime",
    "SimulatedGateway",
    "dump_config",
    "find_config",
    "load_config",
)
