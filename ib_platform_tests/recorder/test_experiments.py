"""Experiments against the simulator, whose answers are known: each must find the right word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ib_platform.errors import ConfigurationError
from ib_platform.recorder.experiments import Experiment
from ib_platform.simulator.behaviour import Behaviour, SeveralLaddersParameters
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.states import LadderMode
from ib_platform_tests.recorder.gateways import Made, quick_options, recorded, secret_gateway
from ib_platform_tests.simulator.client import QUICK


def with_ladders(**changes: Any) -> Behaviour:
    return replace(QUICK, ladders=SeveralLaddersParameters(**changes))


async def found(
    folder: Path, experiment: Experiment, behaviour: Behaviour = QUICK, **changes: Any
) -> tuple[str, dict[str, Any], Made]:
    """Verdict and counts of one experiment on CL and ES."""
    options = quick_options(
        folder / "c.jsonl.gz", symbols=("CL", "ES"), experiments=(experiment,), **changes
    )
    async with secret_gateway(folder, behaviour) as (config, _):
        made = await recorded(config, options)
    data = made.note(f"experiment.{experiment}").data
    assert any(f"experiment {experiment}: {data['verdict']}" in line for line in made.said)
    assert made.note("end").text == "the experiments are done"
    return data["verdict"], data, made


@pytest.mark.parametrize("mode", LadderMode)
async def test_several_ladders(tmp_path: Path, mode: LadderMode) -> None:
    verdict, data, made = await found(tmp_path, Experiment.MULTIPLEX, with_ladders(mode=mode))
    assert verdict == mode
    assert data["first_before"] > 0
    conids = [note.data["conid"] for note in made.lines if getattr(note, "name", "") == "contract"]
    asked = [text for text in made.outbound if text.startswith("sbd")]
    assert asked == [f"sbd+DU1000001+{conid}" for conid in conids]


async def test_a_market_that_says_nothing_proves_nothing(tmp_path: Path) -> None:
    quiet = {"rows_within": 0.3, "settle": 0.05, "watch": 0.1}
    times = replace(quick_options(tmp_path).times, **quiet)
    options = quick_options(
        tmp_path / "c.jsonl.gz",
        symbols=("CL", "ES"),
        experiments=tuple(Experiment),
        times=times,
    )
    async with secret_gateway(tmp_path) as (config, face):
        face.world.faults.begin(FaultKind.SILENT_LADDER, face.world.clock.now())
        made = await recorded(config, options)
    verdicts = {name: made.note(f"experiment.{name}").data["verdict"] for name in Experiment}
    assert set(verdicts.values()) == {"unknown"}


async def test_what_ubd_stops(tmp_path: Path) -> None:
    verdict, data, made = await found(tmp_path, Experiment.UBD)
    assert (verdict, data["with_conid"]) == ("stops_all", "stops_all")
    assert len(data["before"]) == 2
    assert data["after"] == []
    assert [text.count("+") for text in made.outbound if text.startswith("ubd+")][:2] == [1, 2]


async def test_a_ladder_that_expires(tmp_path: Path) -> None:
    verdict, data, _ = await found(tmp_path, Experiment.EXPIRY, with_ladders(lifetime=1.0))
    assert verdict == "expired"
    assert data["came_back_when_asked"]
    assert 0 < data["lived_seconds"] < 2.5


async def test_a_ladder_that_lives_on(tmp_path: Path) -> None:
    verdict, data, made = await found(tmp_path, Experiment.EXPIRY)
    assert verdict == "outlived_the_watch"
    assert data["lived_seconds"] > 2
    assert len([text for text in made.outbound if text.startswith("sbd")]) == 1, "not renewed"


async def test_asking_again(tmp_path: Path) -> None:
    verdict, data, _ = await found(tmp_path, Experiment.RESUBSCRIBE)
    assert verdict == "full_frame"
    assert len(data["full_frame_after_seconds"]) == 3


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [
        (LadderMode.MULTIPLEX, "independent"),
        (LadderMode.REPLACE, "moved"),
        (LadderMode.FIRST_WINS, "first_wins"),
    ],
)
async def test_a_second_websocket(tmp_path: Path, mode: LadderMode, verdict: str) -> None:
    word, _, made = await found(tmp_path, Experiment.SECOND_WEBSOCKET, with_ladders(mode=mode))
    assert word == verdict
    assert {frame.connection for frame in made.frames} == {1, 2}


async def test_two_contracts_are_needed(tmp_path: Path) -> None:
    options = quick_options(
        tmp_path / "c.jsonl", symbols=("CL",), experiments=(Experiment.MULTIPLEX,)
    )
    async with secret_gateway(tmp_path) as (config, _):
        with pytest.raises(ConfigurationError, match="multiplex needs two contracts"):
            await recorded(config, options)
    assert not options.out.exists()
