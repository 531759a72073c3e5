"""The configuration is validated at load, and every error says where and what."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig, dump_config, load_config
from ib_platform.config_sections import Roll
from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.states import FrameSource
from ib_platform_tests.support import make_config

GOOD = """\
paper_users:
  - name: alpha
    username: papera01
    account: DU1000001
    depth_slots: 3
    gateway_port: 5001
    gateway_health_port: 5002
    health_port: 5003
  - name: beta
    username: paperb02
    account: DU1000002
    gateway_port: 5011
    gateway_health_port: 5012
    health_port: 5013
contracts:
  - symbol: CL
    exchange: NYMEX
    months: [front, next]
    paper_user: alpha
  - {symbol: ES, exchange: CME, calendar: always_open, priority: 1}
clickhouse:
  port: 8123
  password_file: secrets/clickhouse
runtime:
  state_dir: state
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "ib_platform.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


def problems(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_config(write(tmp_path, text))
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_a_good_file_loads_with_defaults_and_absolute_paths(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert [user.depth_slots for user in config.paper_users] == [3, 1]
    assert config.contracts[0].keys == ("CL.NYMEX.front", "CL.NYMEX.next")
    assert config.contracts[0].calendar is CalendarName.CME_ENERGY_METALS
    assert config.clickhouse.password_file == tmp_path / "secrets" / "clickhouse"
    assert config.runtime.state_dir == tmp_path / "state"
    assert config.contract_of("ES.CME.front").priority == 1


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IB_PLATFORM__CLICKHOUSE__PORT", "9000")
    monkeypatch.setenv("IB_PLATFORM__LIMITS__SILENT_AFTER", "12.5")
    config = load_config(write(tmp_path, GOOD))
    assert config.clickhouse.port == 9000
    assert config.clickhouse.password_file is not None, "the rest of the section stays"
    assert config.limits.silent_after == 12.5


def test_the_file_is_found_by_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PLATFORM_CONFIG", str(write(tmp_path, GOOD)))
    assert load_config().paper_user("beta").account == "DU1000002"


def test_a_dumped_configuration_loads_to_an_equal_one(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    assert load_config(write(tmp_path, dump_config(config))) == config


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("account: DU1000001", "account: U1000001", 4, ["paper_users.0.account", "begins with D"]),
        ("depth_slots: 3", "depth_slots: 0", 5, ["paper_users.0.depth_slots", "greater than"]),
        ("depth_slots: 3", "depth_slot: 3", 5, ["unknown key", "did you mean 'depth_slots'"]),
        ("name: beta", "name: alpha", 1, ["name alpha appears more than once"]),
        ("paperb02", "PaperA01", 1, ["username papera01 appears more than once"]),
        ("DU1000002", "DU1000001", 1, ["account DU1000001 appears more than once"]),
        ("5011", "5001", 1, ["port 5001 appears more than once"]),
        ("months: [front, next]", "months: [front, front]", 1, ["CL.NYMEX.front appears more"]),
        ("[front, next]", "[front, 2026-13]", 18, ["contracts.0.months", "2026-13", "'front'"]),
        (
            "calendar: always_open",
            "calendar: nyse",
            20,
            ["'always_open', 'cme_globex', "],
        ),
        ("paper_user: alpha", "paper_user: gamma", 1, ["'gamma'", "alpha", "beta"]),
        ("port: 8123", "port: 0", 22, ["clickhouse.port"]),
        ("port: 8123", "prot: 8123", 22, ["clickhouse.prot", "did you mean 'port'"]),
        ("state_dir: state", "state_dir: state\nrumtime: {}", 26, ["did you mean 'runtime'"]),
    ],
)
def test_an_error_names_file_line_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, words: list[str]
) -> None:
    assert old in GOOD
    message = problems(tmp_path, GOOD.replace(old, new, 1))
    assert f"ib_platform.yaml, line {line}:" in message
    for word in words:
        assert word in message


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("DU1000001", "U1").replace("port: 8123", "port: no")
    assert len(problems(tmp_path, text).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping"),
        ("- a\n- b\n", "expected a mapping"),
        ("paper_users: [\n", "line 2: not valid YAML"),
        ("contracts: []\ncontracts: []\n", "line 2: key 'contracts' appears twice (first on line"),
        ("paper_users: []\ncontracts: []\n", "paper_users"),
        ("contracts: []\n", "required key is missing"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, words: str) -> None:
    assert words in problems(tmp_path, text)


def test_a_file_that_is_no_text_and_one_that_contains_itself(tmp_path: Path) -> None:
    file = tmp_path / "ib_platform.yaml"
    file.write_bytes(b"paper_users: \xff\xfe\n")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        load_config(file)
    assert "refers to itself" in problems(tmp_path, "paper_users: &users\n  - *users\n")


def test_an_error_of_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IB_PLATFORM__CLICKHOUSE__PORT", "many")
    message = problems(tmp_path, GOOD)
    assert message.startswith("environment variable IB_PLATFORM__CLICKHOUSE__PORT: clickhouse.port")
    monkeypatch.delenv("IB_PLATFORM__CLICKHOUSE__PORT")
    monkeypatch.setenv("IB_PLATFORM__CLICKHOUSE", "abc")
    assert "like IB_PLATFORM__CLICKHOUSE__PORT=8124" in problems(tmp_path, GOOD)


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--config"):
        load_config(tmp_path / "absent.yaml")


def test_an_unknown_paper_user_or_contract_lists_the_known_ones(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with pytest.raises(ConfigurationError, match="known: alpha, beta"):
        config.paper_user("gamma")
    with pytest.raises(ConfigurationError, match=r"known: CL\.NYMEX\.front"):
        config.contract_of("GC.COMEX.front")


def test_the_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        config.clickhouse = config.clickhouse  # type: ignore[misc]
    assert isinstance(config, PlatformConfig)


def test_the_roll_of_a_contract_and_of_one_that_is_configured_no_longer(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    rolling = {"symbol": "NG", "exchange": "NYMEX", "months": ("front", "next")}
    data = config.model_dump() | {"contracts": [rolling | {"roll": {"rule": "volume"}}]}
    config = PlatformConfig(**data)
    assert config.roll_of("NG.NYMEX.next").rule == "volume"
    assert config.roll_of("GC.COMEX.front") == Roll()


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("quality:\n  coverage_wrn: 0.9\n", 27, ["unknown key", "did you mean 'coverage_warn'"]),
        ("quality:\n  crossed_fail: 2\n", 27, ["quality.crossed_fail", "less than or equal to 1"]),
        (
            "quality:\n  crossed_warn: 0.5\n",
            26,
            ["crossed_warn (0.5) is larger than crossed_fail (0.001)"],
        ),
        ("quality:\n  coverage_fail: 0.999\n", 26, ["coverage_fail (0.999) is larger than"]),
        ("quality:\n  frames_low: .nan\n", 27, ["quality.frames_low", "finite"]),
        ("quality: 3\n", 26, ["quality", "CheckThresholds"]),
    ],
)
def test_thresholds_that_make_no_sense(
    tmp_path: Path, section: str, line: int, words: list[str]
) -> None:
    message = problems(tmp_path, GOOD + section)
    assert f"ib_platform.yaml, line {line}:" in message, message
    for word in words:
        assert word in message


def test_thresholds_of_a_product_are_completed_by_those_of_all(tmp_path: Path) -> None:
    text = GOOD.replace(
        "    paper_user: alpha\n", "    paper_user: alpha\n    quality: {coverage_fail: 0.5}\n"
    )
    config = load_config(write(tmp_path, text + "quality:\n  coverage_warn: 0.9\n  warm_up: 3\n"
                               "  coverage_fail: 0.8\n"))  # fmt: skip
    cl, es = config.contracts
    assert cl.quality is not None
    assert (cl.quality.coverage_warn, cl.quality.coverage_fail, cl.quality.warm_up) == (0.9, 0.5, 3)
    assert es.quality is None
    assert config.quality.coverage_fail == 0.8
    assert load_config(write(tmp_path, dump_config(config))) == config


def test_who_sends_the_frames(tmp_path: Path) -> None:
    simulated = load_config(write(tmp_path, GOOD))
    assert {simulated.source_of(name) for name in ("alpha", "beta")} == {FrameSource.SIMULATED}
    gateway = "gateway:\n  simulator: {replay: capture.jsonl, replay_paper_user: beta}\n"
    replayed = load_config(write(tmp_path, GOOD + gateway))
    assert replayed.source_of("beta") is FrameSource.REPLAYED
    assert replayed.source_of("alpha") is FrameSource.SIMULATED
    java = "gateway:\n  program: java\n  java: {folder: clientportal.gw%s}\n"
    assert load_config(write(tmp_path, GOOD + java % "")).source_of("alpha") is FrameSource.IBKR
    for upstream, source in (
        ("https://1.api.ibkr.com", FrameSource.IBKR),
        ("http://127.0.0.1:5999", FrameSource.SIMULATED),
        ("https://api.notibkr.com", FrameSource.SIMULATED),
    ):
        text = GOOD + java % f", upstream: '{upstream}'"
        assert load_config(write(tmp_path, text)).source_of("alpha") is source
