"""Assignment of contracts to paper users: properties of rendezvous hashing with capacity."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.fleet.plan import Assignment, Demand, assign, plan_assignment
from ib_platform_tests.support import make_config

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=6, unique=True)
KEYS = st.lists(st.text("ABCDEFGH", min_size=1, max_size=4), min_size=1, max_size=12, unique=True)


@st.composite
def fitting(draw: st.DrawFn) -> tuple[list[Demand], dict[str, int]]:
    """Demands and slots where everything fits, pins included."""
    users, keys = draw(NAMES), draw(KEYS)
    demands = [
        Demand(
            key,
            "always_open",
            draw(st.integers(0, 3)),
            draw(st.one_of(st.none(), st.sampled_from(users))),
        )
        for key in keys
    ]
    slots = {
        user: sum(demand.pinned_to == user for demand in demands) + draw(st.integers(0, 3))
        for user in users
    }
    slots[users[0]] += max(0, len(demands) - sum(slots.values()))
    return demands, slots


def homes(assignment: Assignment) -> dict[str, str]:
    return dict(zip(assignment.contracts, assignment.paper_users, strict=True))


@given(fitting())
def test_every_contract_once_within_slots_and_pins(
    problem: tuple[list[Demand], dict[str, int]],
) -> None:
    demands, slots = problem
    found = assign(demands, slots)
    assert sorted(found.contracts) == sorted(demand.contract for demand in demands)
    assert list(found.contracts) == sorted(found.contracts)
    for user, count in slots.items():
        assert len(found.contracts_of(user)) <= count
    for demand in demands:
        assert demand.pinned_to in (None, homes(found)[demand.contract])


@given(fitting(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    problem: tuple[list[Demand], dict[str, int]], random: object
) -> None:
    demands, slots = problem
    shuffled, users = list(demands), list(slots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(users)  # type: ignore[attr-defined]
    again = assign(shuffled, {user: slots[user] for user in users})
    assert again == assign(demands, slots)
    assert again.content_hash == assign(demands, slots).content_hash


@given(KEYS, NAMES)
def test_with_room_everywhere_a_new_contract_moves_no_other(
    keys: list[str], users: list[str]
) -> None:
    roomy = {user: len(keys) for user in users}
    demands = [Demand(key, "always_open") for key in keys]
    before = homes(assign(demands[:-1], roomy))
    after = homes(assign(demands, roomy))
    assert {key: after[key] for key in before} == before


@given(KEYS, NAMES)
def test_with_room_everywhere_a_lost_user_moves_only_its_own_contracts(
    keys: list[str], users: list[str]
) -> None:
    demands = [Demand(key, "always_open") for key in keys]
    before = homes(assign(demands, {user: len(keys) for user in [*users, "lost"]}))
    after = homes(assign(demands, {user: len(keys) for user in users}))
    assert all(after[key] == user for key, user in before.items() if user != "lost")


@given(fitting())
def test_the_least_important_contract_moves_no_other(
    problem: tuple[list[Demand], dict[str, int]],
) -> None:
    demands, slots = problem
    slots = {user: count + 1 for user, count in slots.items()}
    last = Demand("ZZZZZ", "always_open", priority=99)
    before = homes(assign(demands, slots))
    after = homes(assign([*demands, last], slots))
    assert {key: after[key] for key in before} == before


def test_contracts_spread_over_paper_users() -> None:
    demands = [Demand(f"C{number}", "always_open") for number in range(200)]
    counts = [
        len(assign(demands, {"a": 200, "b": 200, "c": 200}).contracts_of(user)) for user in "abc"
    ]
    assert min(counts) > 40


def test_too_few_slots_are_refused_with_what_fits_and_what_does_not() -> None:
    demands = [
        Demand("CL", "cme_globex", priority=3),
        Demand("ES", "cme_globex", priority=1),
        Demand("NQ", "cme_globex", priority=2, pinned_to="beta"),
        Demand("GC", "cme_globex", priority=4),
    ]
    with pytest.raises(ConfigurationError) as refusal:
        assign(demands, {"beta": 1, "alpha": 1})
    text = str(refusal.value)
    assert "4 contracts want a slot, 2 are available (alpha 1, beta 1)" in text
    assert "These fit, most important first: NQ, ES." in text
    assert "These do not: CL, GC." in text
    assert "for 2 more" in text


def test_too_many_pins_are_refused() -> None:
    demands = [Demand(key, "cme_globex", pinned_to="alpha") for key in ("A", "B")]
    with pytest.raises(ConfigurationError, match=r"2 contracts are pinned .* has 1 slots") as one:
        assign(demands, {"alpha": 1, "beta": 5})
    assert "These fit: A. These do not: B." in str(one.value)
    with pytest.raises(ConfigurationError, match="does not exist; known: beta"):
        assign(demands, {"beta": 5})


def test_the_plan_of_a_configuration(tmp_path: Path) -> None:
    config = make_config(
        tmp_path,
        contracts=[
            {"symbol": "CL", "exchange": "NYMEX", "months": ["front", "next"]},
            {"symbol": "ES", "exchange": "CME", "calendar": "always_open", "paper_user": "beta"},
        ],
    )
    found = plan_assignment(config)
    assert found.contracts == ("CL.NYMEX.front", "CL.NYMEX.next", "ES.CME.front")
    assert found.calendars == ("cme_energy_metals", "cme_energy_metals", "always_open")
    assert homes(found)["ES.CME.front"] == "beta"


def test_the_hash_is_the_same_in_another_process() -> None:
    found = Assignment(("A", "B"), ("alpha", "beta"), ("always_open", "cme_globex"))
    program = f"from ib_platform.fleet.plan import Assignment; print({found!r}.content_hash)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) == found.content_hash
    assert 0 < found.content_hash < 2**64


@pytest.mark.parametrize(
    "other",
    [
        Assignment(("A", "B"), ("beta", "alpha"), ("x", "x")),
        Assignment(("A",), ("alpha",), ("x",)),
        Assignment(("A", "B"), ("alpha", "beta"), ("x", "y")),
        Assignment(("AB", ""), ("alpha", "beta"), ("x", "x")),
    ],
)
def test_other_content_has_another_hash(other: Assignment) -> None:
    assert other.content_hash != Assignment(("A", "B"), ("alpha", "beta"), ("x", "x")).content_hash
