"""The command line of the recorder: what is understood, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_platform.errors import ConfigurationError
from ib_platform.recorder.app import DEFAULT_FIELDS, RecordOptions
from ib_platform.recorder.experiments import Experiment
from ib_platform.recorder.options import record_options, seconds_of

OUT = Path("x.jsonl.gz")


def test_nothing_said() -> None:
    assert record_options(out=OUT) == RecordOptions(OUT)
    assert {"55", "6509"} <= set(DEFAULT_FIELDS)


def test_everything_said() -> None:
    options = record_options(
        out=OUT,
        duration="10m",
        symbols="CL, ES,CL",
        fields="31,84,31",
        url="https://127.0.0.1:5000",
        certificate=Path("c.pem"),
        experiments=("multiplex", "ubd", "multiplex"),
    )
    assert options == RecordOptions(
        OUT,
        seconds=600,
        symbols=("CL", "ES"),
        fields=("31", "84"),
        url="https://127.0.0.1:5000",
        certificate=Path("c.pem"),
        experiments=(Experiment.MULTIPLEX, Experiment.UBD),
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1.5m", 90)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "ten", "5d", "m", "1e3", "\u0665m", "5 m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--for: .* is not a duration like 90s"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"symbols": "CL,,ES"}, "--symbols: '' in 'CL,,ES'"),
        ({"symbols": "cl"}, "--symbols: 'cl' in 'cl'"),
        ({"symbols": "CL&x=1"}, "--symbols"),
        ({"fields": "31,last"}, "--fields: 'last'"),
        ({"fields": ",".join(map(str, range(51)))}, "at most 50, got 51"),
        ({"experiments": ("magic",)}, "unknown 'magic'; known: multiplex, expiry, ubd"),
    ],
)
def test_what_is_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        record_options(out=OUT, **option)
    assert message in str(caught.value)
