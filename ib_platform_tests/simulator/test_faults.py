"""The registry of active faults: whom they concern, when they end, who is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault, Faults

SILENT, GONE = FaultKind.SILENT_LADDER, FaultKind.CONTRACT_GONE


def test_a_fault_bites_whom_it_concerns_until_it_ends() -> None:
    faults = Faults()
    fault = faults.begin(SILENT, 100.0, seconds=30, username="papera01", symbol="CL")
    assert faults.active(SILENT, 100.0, "papera01", "CL") is fault
    assert faults.active(SILENT, 129.9, "PaperA01", "CL") is fault
    assert faults.active(SILENT, 100.0, "paperb02", "CL") is None
    assert faults.active(SILENT, 100.0, "papera01", "ES") is None
    assert faults.active(SILENT, 100.0, None, "CL") is None
    assert faults.active(GONE, 100.0, "papera01", "CL") is None
    assert faults.active(SILENT, 130.0, "papera01", "CL") is None


def test_what_is_not_limited_bites_everywhere() -> None:
    faults = Faults()
    fault = faults.begin(SILENT, 0.0)
    for username in (None, "papera01"):
        for symbol in (None, "CL"):
            assert faults.active(SILENT, 1e9, username, symbol) is fault


def test_the_newest_of_several_counts() -> None:
    faults = Faults()
    old = faults.begin(FaultKind.SLOW_ANSWERS, 0.0, parameters={"latency": 1.0})
    new = faults.begin(FaultKind.SLOW_ANSWERS, 1.0, seconds=5, parameters={"latency": 2.0})
    assert faults.active(FaultKind.SLOW_ANSWERS, 2.0) is new
    assert faults.active(FaultKind.SLOW_ANSWERS, 6.0) is old


def test_an_instant_one_is_told_and_not_kept() -> None:
    faults, told = Faults(), list[tuple[Fault, float]]()
    faults.listen(lambda fault, now: told.append((fault, now)))
    closed = faults.begin(FaultKind.WEBSOCKET_CLOSED, 3.0)
    lasting = faults.begin(SILENT, 4.0)
    assert told == [(closed, 3.0), (lasting, 4.0)]
    assert faults.all(5.0) == (lasting,)
    assert faults.begun == 2


def test_stopping_one_and_all() -> None:
    faults = Faults()
    first, second, third = (faults.begin(kind, 0.0) for kind in (SILENT, GONE, SILENT))
    assert faults.stop(first.number)
    assert not faults.stop(first.number)
    assert faults.all(1.0) == (second, third)
    assert faults.clear() == 2
    assert faults.all(1.0) == ()
    assert not faults.stop(second.number)


def test_parameters_have_documented_defaults() -> None:
    faults = Faults()
    fault = faults.begin(FaultKind.HTTP_ERROR, 0.0, parameters={"status": 500})
    assert (fault["status"], fault["path"]) == (500, "/")
    assert fault.number_of("latency") == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 100)), max_size=20),
    st.floats(0, 300),
)
def test_exactly_those_are_active_that_have_begun_and_not_ended(
    spans: list[tuple[float, float | None]], now: float
) -> None:
    faults = Faults()
    begun = [faults.begin(SILENT, at, seconds=seconds) for at, seconds in spans]
    expected = [fault for fault in begun if fault.until is None or fault.until > now]
    assert list(faults.all(now)) == expected
