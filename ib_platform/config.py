"""PlatformConfig: one YAML file plus environment variables, validated at load.

Environment variables override the file: ``IB_PLATFORM__CLICKHOUSE__PORT=8124``. The file is named
by ``--config``, else by ``IB_PLATFORM_CONFIG``, else ``ib_platform.yaml`` in the current folder.
Every error names the file, the line, the key, what is wrong and what is allowed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ib_platform.config_calendar import CalendarDay
from ib_platform.config_errors import describe_validation_error, load_yaml_with_lines
from ib_platform.config_gateway import Gateway, Section, SimulatedGateway
from ib_platform.config_quality import CheckThresholds, with_products
from ib_platform.config_sections import (
    ClickHouse,
    Contract,
    Limits,
    PaperUser,
    Retention,
    Roll,
    Runtime,
)
from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.sessions import use_own_days
from ib_platform.states import FrameSource

CONFIG_VARIABLE = "IB_PLATFORM_CONFIG"
DEFAULT_CONFIG = Path("ib_platform.yaml")
ENVIRONMENT_PREFIX = "IB_PLATFORM__"
_HOSTS_OF_IBKR = ("ibkr.com", "interactivebrokers.com", "interactivebrokers.com.hk", "ibllc.com.cn")


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
    quality: CheckThresholds = CheckThresholds()
    retention: Retention = Retention()
    calendar_days: tuple[CalendarDay, ...] = ()

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

    @model_validator(mode="before")
    @classmethod
    def _thresholds_of_products(cls, data: Any) -> Any:
        return with_products(data)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        users = self.paper_users
        _refuse_repeats("paper_users", "name", (u.name for u in users))
        _refuse_repeats("paper_users", "username", (u.username.lower() for u in users))
        _refuse_repeats("paper_users", "account", (u.account for u in users))
        ports = [p for u in users for p in (u.gateway_port, u.gateway_health_port, u.health_port)]
        _refuse_repeats("paper_users", "port", (str(p) for p in ports))
        _refuse_repeats("contracts", "contract", (key for c in self.contracts for key in c.keys))
        days = (f"{day.day} of {day.calendar}" for day in self.calendar_days)
        _refuse_repeats("calendar_days", "day", days)
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

    def source_of(self, paper_user: str) -> FrameSource:
        """Who sends what this paper user's pod records. IBKR's own program may stand before another
        server than IBKR's, which is a simulated one then."""
        gateway, simulated = self.gateway, self.gateway.simulator
        if gateway.program == "java" and gateway.java is not None:
            host = (urlsplit(gateway.java.upstream).hostname or "").lower()
            of_ibkr = any(host.endswith(f".{name}") for name in _HOSTS_OF_IBKR)
            return FrameSource.IBKR if of_ibkr else FrameSource.SIMULATED
        player = simulated.replay_paper_user or self.paper_users[0].name
        replays = simulated.replay is not None and player == paper_user
        return FrameSource.REPLAYED if replays else FrameSource.SIMULATED

    def simulator_control_port(self, paper_user: str | None) -> int | None:
        """Of the simulator of this paper user, or of the one that serves all; None = any free."""
        first = self.gateway.simulator.control_port
        if first is None or paper_user is None:
            return first
        return first + self.paper_users.index(self.paper_user(paper_user))

    def contract_of(self, key: str) -> Contract:
        """The contract that the key ``SYMBOL.EXCHANGE.month`` belongs to."""
        for contract in self.contracts:
            if key in contract.keys:
                return contract
        known = ", ".join(key for contract in self.contracts for key in contract.keys)
        raise ConfigurationError(f"no contract {key!r} in the configuration; known: {known}")

    def roll_of(self, key: str) -> Roll:
        """The roll rule of the contract ``key``. An assignment may still hold a key that the
        configuration has no longer: then the default."""
        return next((c.roll for c in self.contracts if key in c.keys), Roll())


def _refuse_repeats(section: str, what: str, values: Iterable[str]) -> None:
    repeated = sorted(value for value, count in Counter(values).items() if count > 1)
    if repeated:
        raise ValueError(f"{section}: {what} {', '.join(repeated)} appears more than once")


def find_config(path: Path | None = None) -> Path:
    """The configuration file to use; see the module's docstring for the order."""
    return path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def load_config(path: Path | None = None) -> PlatformConfig:
    """Read and validate the configuration. Relative paths in it are relative to the file. From then
    on this process follows the ``calendar_days`` that it names.

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
    use_own_days({(day.calendar, day.day): day.other_hours for day in config.calendar_days})
    return _with_absolute_paths(config, file.resolve().parent)


def _with_absolute_paths(config: PlatformConfig, base: Path) -> PlatformConfig:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (base / path.expanduser()).resolve()

    def with_absolute(section: Section | None, *names: str) -> Any:
        if section is None:
            return None
        return section.model_copy(update={name: absolute(getattr(section, name)) for name in names})

    gateway = config.gateway
    simulated = with_absolute(gateway.simulator, "replay")
    if simulated.scenario is not None and simulated.scenario.endswith((".yaml", ".yml")):
        scenario = str(absolute(Path(simulated.scenario)))
        simulated = simulated.model_copy(update={"scenario": scenario})
    sections = {
        "simulator": simulated,
        "java": with_absolute(gateway.java, "folder"),
        "login": with_absolute(gateway.login, "chromium"),
    }
    users = tuple(
        user.model_copy(
            update={"credentials": with_absolute(user.credentials, "password_file", "folder")}
        )
        for user in config.paper_users
    )
    return config.model_copy(
        update={
            "paper_users": users,
            "clickhouse": with_absolute(config.clickhouse, "password_file", "embedded_folder"),
            "gateway": gateway.model_copy(update=sections),
            "runtime": with_absolute(config.runtime, "state_dir"),
            "retention": with_absolute(config.retention, "export_folder"),
        }
    )


def dump_config(config: PlatformConfig) -> str:
    """The configuration as YAML that ``load_config`` reads back to an equal value."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


__all__: Sequence[str] = (
    "CONFIG_VARIABLE",
    "CheckThresholds",
    "ClickHouse",
    "Contract",
    "Gateway",
    "Limits",
    "PaperUser",
    "PlatformConfig",
    "Retention",
    "Runtime",
    "SimulatedGateway",
    "dump_config",
    "find_config",
    "load_config",
)
