"""Scenarios: what a file may say, and that whatever is wrong in it is refused with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.fault_kinds import SPECS, FaultKind
from ib_platform.simulator.scenario import Scenario
from ib_platform.simulator.scenario_library import (
    load_scenario,
    parse_scenario,
    plain_scenario,
    scenario_names,
)
from ib_platform.simulator.simulation import require_playable
from ib_platform.simulator.users import AccountKind, SecondFactor, simulated_password
from ib_platform.states import LadderMode
from ib_platform_tests.simulator.drilled import OTHER, USER
from ib_platform_tests.support import make_config

GOOD = """\
name: my_evening
description: Two troubles.
at_ibkr: What one would see.
seed: 5
behaviour:
  cadence: 0.5
  session: {idle_timeout: 60, login_delay: [1, 2]}
  ladders:
    mode: replace
users:
  - {username: papera01, availability: DB, authenticates: false}
  - username: livea01
    account: U1000001
    kind: live
    second_factor: totp
clock: {scale: 60, start: 2026-11-20T15:55:00-06:00}
faults:
  - {fault: websocket_closed, at: 2m, parameters: {code: 1006}}
  - fault: silent_ladder
    every: 5m
    probability: 0.5
    for: 40s
    symbol: CL
    paper_user: alpha
"""


def parsed(text: str) -> Scenario:
    return parse_scenario(text, Path("my.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parsed(text)
    return str(refused.value)


def test_a_good_one() -> None:
    scenario = parsed(GOOD)
    assert scenario.seed == 5
    assert scenario.behaviour.cadence == 0.5
    assert scenario.behaviour.session.idle_timeout == 60
    assert scenario.behaviour.session.lock_after == Behaviour().session.lock_after
    assert scenario.behaviour.ladders.mode is LadderMode.REPLACE
    assert scenario.clock.scale == 60
    assert scenario.clock.start == datetime(2026, 11, 20, 21, 55, tzinfo=UTC)
    closed, silent = scenario.faults
    assert (closed.fault, closed.at, closed.parameters) == ("websocket_closed", 120, {"code": 1006})
    assert (silent.every, silent.seconds, silent.probability) == (300, 40, 0.5)
    assert (silent.symbol, silent.paper_user) == ("CL", "alpha")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name: my_evening", "name: My Evening", 1, "name: String should match"),
        ("at_ibkr: What one would see.\n", "", 1, "at_ibkr: required key is missing"),
        ("seed: 5", "sed: 5", 4, "unknown key; did you mean 'seed'"),
        ("cadence: 0.5", "cadense: 0.5", 6, "did you mean 'cadence'"),
        ("cadence: 0.5", "cadence: -1", 6, "behaviour.cadence: Input should be greater"),
        ("idle_timeout: 60", "idle_timout: 60", 7, "did you mean 'idle_timeout'"),
        ("mode: replace", "mode: swap", 9, "'multiplex', 'replace' or 'first_wins'"),
        ("availability: DB", "availabilty: DB", 11, "did you mean 'availability'"),
        ("kind: live", "kind: demo", 14, "'live' or 'paper'"),
        ("scale: 60", "scale: 0", 16, "clock.scale: Input should be greater than 0"),
        ("scale: 60", "scal: 60", 16, "did you mean 'scale'"),
        ("15:55:00-06:00", "15:55:00", 16, "needs a time zone"),
        ("websocket_closed", "websocket_close", 18, "did you mean 'websocket_closed'"),
        ("at: 2m", "at: -2", 18, "faults.0.at"),
        ("at: 2m", "at: soon", 18, "is no duration"),
        ("at: 2m, ", "", 18, "needs 'at' or 'every'"),
        ("at: 2m", "at: 2m, for: 5s", 18, "takes no 'for'"),
        ("at: 2m", "at: 2m, symbol: CL", 18, "cannot be limited to a symbol"),
        ("at: 2m", "at: 2m, when: 5", 18, "faults.0.when: unknown key"),
        ("code: 1006", "cod: 1006", 18, "did you mean 'code'"),
        ("code: 1006", "code: many", 18, "must be a whole number"),
        ("every: 5m", "every: 0", 19, "at least 0.1 seconds"),
        ("probability: 0.5", "probability: 2", 21, "less than or equal to 1"),
        ("    for: 40s\n", "", 19, "with 'every' it needs 'for'"),
        ("paper_user: alpha", "paper_user: a\n    username: b", 19, "not both"),
        ("scale: 60", "scale: .inf", 16, "clock.scale"),
        ("scale: 60", "scale: .nan", 16, "clock.scale"),
        ("2026-11-20T", "9999-12-31T", 16, "clock.start: the simulated calendar begins with 2000"),
        ("2026-11-20T", "0001-01-01T", 16, "clock.start: the simulated calendar begins with 2000"),
        ("cadence: 0.5", "cadence: .inf", 6, "behaviour.cadence"),
        ("cadence: 0.5", "market: {quiet_rate: .inf}", 6, "behaviour.market.quiet_rate"),
        ("cadence: 0.5", "market: {levels: 0}", 6, "behaviour.market.levels"),
        ("cadence: 0.5", "market: {levels: 5}", 6, "levels_shown is more than levels"),
        ("cadence: 0.5", "market: {profile: []}", 6, "behaviour.market.profile"),
        ("cadence: 0.5", "market: {size_step: 0}", 6, "behaviour.market.size_step"),
        ("cadence: 0.5", "market: {jump_ticks: [40, 12]}", 6, "the smaller one comes first"),
        ("login_delay: [1, 2]", "login_delay: [2, 1]", 7, "the smaller one comes first"),
        ("cadence: 0.5", "catalogue: {roll_guard_days: 4000000}", 6, "roll_guard_days"),
        ("cadence: 0.5", "history: {listed_days: 99999999999}", 6, "listed_days"),
        ("cadence: 0.5", "login_page: {totp_periods: 1000000000}", 6, "totp_periods"),
        ("availability: DB", 'availability: "XYZ"', 11, "availability"),
        ("availability: DB", 'availability: ""', 11, "availability"),
        ("code: 1006", "code: 5000", 18, "between 1000 and 4999"),
        ("faults:", "faults: []\nfaults:", 18, "key 'faults' appears twice"),
        ("faults:", "faults: [", 17, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    message = refusal(GOOD.replace(old, new, 1))
    if "not valid YAML" not in words:
        assert f"my.yaml, line {line}:" in message, message
    assert words in message


@pytest.mark.parametrize("text", ["", "- a\n", "42", "just text"])
def test_files_that_are_no_scenario(text: str) -> None:
    assert "expected a mapping with the keys name, description and faults" in refusal(text)


def test_every_problem_is_listed_at_once() -> None:
    text = GOOD.replace("at: 2m", "at: soon").replace("scale: 60", "scale: 0")
    assert len(refusal(text).splitlines()) == 2


def test_passwords_and_secrets_are_not_shown() -> None:
    text = GOOD.replace("second_factor: totp", 'totp_secret: "not!base32"\n    passwort: hidden-1')
    message = refusal(text)
    assert "hidden-1" not in message
    scenario = parsed(GOOD.replace("second_factor: totp", 'totp_secret: "not!base32"'))
    with pytest.raises(ConfigurationError, match="base32") as refused:
        scenario.users_with((USER,))
    assert "not!base32" not in str(refused.value)
    assert "hidden" not in repr(parsed(GOOD.replace("kind: live", "password: hidden")))


def test_users_are_added_and_changed(tmp_path: Path) -> None:
    alpha, beta = make_config(tmp_path).paper_users
    changed, untouched, added = parsed(GOOD).users_with((alpha, beta))
    assert (changed.username, changed.availability, changed.authenticates) == (
        alpha.username,
        "DB",
        False,
    )
    assert changed.password == simulated_password(alpha.username)
    assert untouched.authenticates
    assert (added.username, added.kind) == ("livea01", AccountKind.LIVE)
    assert added.second_factor is SecondFactor.TOTP
    assert added.password == simulated_password("livea01")


def test_one_line_for_all_configured_users(tmp_path: Path) -> None:
    users = make_config(tmp_path).paper_users
    everybody = GOOD.replace("username: papera01", 'username: "*"')
    assert [user.authenticates for user in parsed(everybody).users_with(users)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("    account: U1000001\n", "", 12, "livea01 is not one of the configured"),
        ("availability: DB", "second_factor: totp", 11, "a paper user is not asked"),
        ("paper_user: alpha", "paper_user: gamma", 24, "no paper user 'gamma' here; known: alpha"),
        ("paper_user: alpha", "username: nobody", 24, "no username 'nobody' here; known: papera01"),
        ("symbol: CL", "symbol: XX", 23, "no symbol 'XX' here; known: "),
    ],
)
def test_what_does_not_fit_the_configuration(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    config = make_config(tmp_path)
    require_playable(config, parsed(GOOD))
    assert old in GOOD
    with pytest.raises(ConfigurationError) as refused:
        require_playable(config, parsed(GOOD.replace(old, new, 1)))
    assert f"my.yaml, line {line}:" in str(refused.value)
    assert words in str(refused.value)


def test_the_first_paper_user_fits_every_configuration(tmp_path: Path) -> None:
    require_playable(make_config(tmp_path), parsed(GOOD.replace("alpha", "first")))


def test_books_lie_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text("states: [{at: 0, bids: {58.27: 5}, asks: {58.29: 4}}]\n")
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD + "scripted: {CL: book.yaml}\n")
    scenario = load_scenario(str(file))
    assert scenario.scripted == {"CL": tmp_path / "book.yaml"}
    config = make_config(tmp_path)
    require_playable(config, scenario)
    (tmp_path / "book.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"book\.yaml"):
        require_playable(config, scenario)


def test_a_file_of_ones_own_and_one_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(GOOD)
    assert load_scenario(str(file)).name == "my_evening"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_scenario(str(tmp_path / "absent.yaml"))
    file.write_bytes(b"name: \xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        load_scenario(str(file))


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'flaky_evening'"):
        load_scenario("flakey_evening")
    with pytest.raises(ConfigurationError, match="--list-scenarios"):
        load_scenario("../../etc/passwd")


def test_changes_of_the_command_line() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    changed = parsed(GOOD).changed(scale=2, start=start, logged_in=False, seed=9)
    assert (changed.seed, changed.clock.scale, changed.clock.start) == (9, 2, start)
    assert not changed.behaviour.gateway.logged_in
    assert changed.behaviour.session.idle_timeout == 60
    assert plain_scenario().changed() == plain_scenario()
    assert plain_scenario().changed(scale=3).clock.start is None


@pytest.mark.parametrize("name", scenario_names())
def test_the_scenarios_of_the_platform(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.endswith(".")
    assert len(scenario.at_ibkr) > 60, "says what a user of IBKR would see"
    require_playable(make_config(tmp_path), scenario)
    scenario.users_with((OTHER,))


def test_they_cover_every_row_of_the_table_of_failures() -> None:
    scenarios = [load_scenario(name) for name in scenario_names()]
    used = {fault.fault for scenario in scenarios for fault in scenario.faults}
    assert used == set(FaultKind), "each kind is in some scenario"
    rows = {row.strip() for kind in used for row in SPECS[kind].row.split(",")}
    assert rows >= {str(row) for row in range(1, 16)} - {"14"}


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "faults", "fault", "at", "users", "behaviour", "session"])
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nonsense_is_refused_and_never_takes_it_down(data: object) -> None:
    assert refusal(yaml.safe_dump(data)).startswith("my.yaml")
