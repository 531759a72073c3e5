"""History over the websocket: a batch, its limit, its end, and what is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from ib_platform.simulator.commands import SubscribeHistory
from ib_platform.simulator.history_feed import HistoryFeed
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

USER = SimulatedUser(username="papera01", password="secret", account="DU1000001")


@pytest.fixture
def world() -> World:
    return World([USER], seed=7)


async def asked(
    world: World, feed: HistoryFeed, period: str = "2h", bar: str = "5min"
) -> dict[str, Any]:
    conid = world.catalogue.months_of("CL")[0].conid
    batch: dict[str, Any] = json.loads(
        await feed.batch(SubscribeHistory(conid, period, bar, outside_rth=True))
    )
    assert batch["topic"] == f"smh+{conid}"
    return batch


async def test_a_batch_of_bars(world: World) -> None:
    batch = await asked(world, HistoryFeed(world))
    assert batch["symbol"] == "CL"
    assert batch["barLength"] == 300
    assert len(batch["data"]) == batch["points"] + 1 >= 24
    times = [bar["t"] for bar in batch["data"]]
    assert times == sorted(set(times))


async def test_others_go_on_while_bars_are_computed(world: World) -> None:
    """Bars are made beside the event loop: frames of all clients wait for it otherwise."""
    making, may_end = threading.Event(), threading.Event()
    bars = world.history.bars

    def slow(*given: Any, **named: Any) -> Any:
        making.set()
        assert may_end.wait(30)
        return bars(*given, **named)

    world.history.bars = slow  # type: ignore[method-assign]
    batch = asyncio.create_task(asked(world, HistoryFeed(world)))
    assert await asyncio.to_thread(making.wait, 30)
    assert not batch.done()
    may_end.set()
    assert (await batch)["symbol"] == "CL"


async def test_no_more_than_five_until_one_ends(world: World) -> None:
    feed = HistoryFeed(world)
    ids = [(await asked(world, feed))["serverId"] for _ in range(5)]
    assert len(set(ids)) == 5
    assert "error" in await asked(world, feed)
    assert json.loads(feed.end(ids[2])) == {"message": f"Unsubscribed {ids[2]}"}
    assert (await asked(world, feed))["serverId"] not in ids


async def test_an_id_that_is_not_open_is_answered_alike_and_frees_nothing(world: World) -> None:
    feed = HistoryFeed(world)
    for _ in range(5):
        await asked(world, feed)
    assert json.loads(feed.end("h99")) == {"message": "Unsubscribed h99"}
    assert "error" in await asked(world, feed)


@pytest.mark.parametrize(("period", "bar"), [("2 parsecs", "5min"), ("2h", "7min"), ("", "")])
async def test_an_unknown_range_is_an_error_and_takes_no_place(
    world: World, period: str, bar: str
) -> None:
    feed = HistoryFeed(world)
    for _ in range(7):
        assert "error" in await asked(world, feed, period, bar)
    assert "data" in await asked(world, feed)


async def test_an_unknown_contract_is_an_error(world: World) -> None:
    answer = json.loads(await HistoryFeed(world).batch(SubscribeHistory(42, "1d", "5min")))
    assert answer == {"error": "No contract found", "topic": "smh+42"}
