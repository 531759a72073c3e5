"""Every scenario of the simulator: depth in SQL, its twin and the emitter's own book are one."""

from __future__ import annotations

from typing import Any

from ib_platform.simulator.scenario_library import scenario_names
from ib_platform_tests.warehouse.acted import Acted
from ib_platform_tests.warehouse.recording import trade_date
from ib_platform_tests.warehouse.test_depth import assert_agree

SECONDS = 240
WITHOUT_LADDERS = {"acknowledgement_missing", "not_entitled"}
"""Scenarios in which no ladder ever shows anything."""


def test_every_scenario(client: Any) -> None:
    names = scenario_names()
    acted = {
        name: Acted(name, (10_000 + 2 * number, 10_001 + 2 * number))
        for number, name in enumerate(names)
    }
    for each in acted.values():
        each.run(SECONDS)
        each.recorder.other(each.recorder.last_at if each.recorder.frames else 0)
        each.recorder.insert(client)
    recorders = [each.recorder for each in acted.values()]
    states = [state for recorder in recorders for state in recorder.states]
    days = sorted({trade_date(state.at) for state in states})
    assert sum(assert_agree(client, recorders, day) for day in days) == len(states)
    compared = {
        name: sum(each.compared for each in one.clients.values()) for name, one in acted.items()
    }
    assert {name for name, count in compared.items() if count < 50} == WITHOUT_LADDERS
    assert sum(compared.values()) > 500 * len(names) / 2, compared
