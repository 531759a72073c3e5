"""What the demo prints, from observations alone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console

from ib_platform.demo.table import Built, as_text, lines, render, troubles
from ib_platform.fleet.pods import ContainerState, Phase, PodObservation
from ib_platform.health import ContractHealth, FrameCounts, LoaderHealth, StreamerHealth
from ib_platform.states import ContractState, PodState

NOW = datetime(2026, 11, 23, 15, 31, tzinfo=UTC)


def health(state: PodState = PodState.STREAMING, lag: float | None = 0.21) -> StreamerHealth:
    ladder = ContractHealth(conid=7, state=ContractState.LIVE, epoch=1, ladder_frames=1234)
    return StreamerHealth(
        paper_user="alpha",
        run_id="alpha-1",
        pid=1,
        state=state,
        since=NOW,
        reason="",
        started_at=NOW,
        frames=FrameCounts(),
        loader=LoaderHealth(lag_seconds=lag),
        assignment_generation=1,
        assignment_source="clickhouse",
        contracts={"CL.NYMEX.front": ladder},
    )


def test_a_streaming_pod_shows_everything() -> None:
    pod = PodObservation("alpha", streamer_health=health())
    built = {"CL.NYMEX.front": Built(NOW, Decimal("58.280000000"), "available")}
    (line,) = lines([pod], built)
    assert as_text([line], []) == (
        "CL.NYMEX.front on alpha: STREAMING LIVE, frames 1,234, lag 0.2 s, "
        "last bar 15:31 mid 58.28, verdict available"
    )


def test_what_keeps_rows_from_clickhouse_is_said_in_words() -> None:
    ill = health()
    ill.loader = LoaderHealth(
        quarantined_batches=2, quarantined_since=NOW, quarantined_error="frames, code 469: no"
    )
    well = PodObservation("beta", streamer_health=health())
    seen = [PodObservation("alpha", streamer_health=ill), well]
    (told,) = troubles(seen, 300.0)
    assert told.startswith("alpha: ClickHouse has refused 2 batches")
    assert "(since 2026-11-23 15:31:00 UTC: frames, code 469: no)" in told
    assert as_text(lines(seen, {}), [told]).endswith(f"; {told}")
    assert troubles([well, PodObservation("gamma")], 300.0) == []


def test_what_is_not_known_is_a_dash_and_nothing_pending_is_no_lag() -> None:
    starting = PodObservation("alpha", gateway=ContainerState(Phase.RUNNING, 1, NOW))
    (line,) = lines([starting], {})
    assert (line.pod_state, line.frames, line.lag, line.verdict) == ("STARTING", "–", "–", "–")
    (idle,) = lines([PodObservation("alpha", streamer_health=health(lag=None))], {})
    assert idle.lag == "0.0 s"
    (down,) = lines([PodObservation("alpha")], {})
    assert down.pod_state == "DOWN"
    (unknown,) = lines([PodObservation("alpha", error="no permission")], {})
    assert unknown.pod_state == "UNKNOWN"


def test_the_table_fits_a_terminal_of_100_columns() -> None:
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(
            render(lines([PodObservation("alpha", streamer_health=health())], {}), ["a note"])
        )
    text = captured.get()
    assert "CL.NYMEX.front" in text
    assert "1,234" in text
    assert "a note" in text
