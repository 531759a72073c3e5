"""docs/recording.md does not lie: its examples are read, its options and words exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import ib_platform
from ib_platform.cli import main
from ib_platform.config import SimulatedGateway
from ib_platform.ibkr.capture_format import LineReader
from ib_platform.recorder import verdicts
from ib_platform.recorder.experiments import Experiment

DOCS = (Path(ib_platform.__file__).parents[1] / "docs" / "recording.md").read_text("utf-8")


def test_the_example_lines_are_lines() -> None:
    examples = re.findall(r"```json\n(.*?)\n```", DOCS)
    reader = LineReader()
    kinds = [type(reader.read(text.encode())).__name__ for text in examples]
    assert kinds == ["NoneType", "Frame", "Exchange", "Note"]
    assert reader.header is not None


def test_the_example_of_the_first_version() -> None:
    [example] = re.findall(r"`(\{\"t\":.*?\})`", DOCS)
    assert LineReader().read(example.encode()) is not None


def test_every_option_is_explained() -> None:
    shown = CliRunner().invoke(main, ["record", "--help"], terminal_width=200).output
    options = set(re.findall(r"(--[a-z-]+)", shown)) - {"--help", "--config"}
    assert options == {*re.findall(r"^\| `(--[a-z-]+)", DOCS, re.MULTILINE)}


@pytest.mark.parametrize("experiment", Experiment)
def test_every_experiment_is_explained(experiment: Experiment) -> None:
    assert f"| `{experiment}` |" in DOCS


@pytest.mark.parametrize(
    "word",
    [
        word
        for kind in (
            verdicts.Several,
            verdicts.Stopped,
            verdicts.Lifetime,
            verdicts.Again,
            verdicts.SecondSocket,
        )
        for word in kind
    ],
)
def test_every_word_of_a_verdict_is_explained(word: str) -> None:
    assert f"`{word}`" in DOCS


def test_every_setting_of_a_replay_exists() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    named = set(re.findall(r"^    ([a-z_]+):", block, re.MULTILINE))
    assert named <= set(SimulatedGateway.model_fields)
    assert {name for name in SimulatedGateway.model_fields if "replay" in name} <= named
