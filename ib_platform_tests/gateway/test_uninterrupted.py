"""Work that goes on to its end although its waiter is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from ib_platform.gateway.uninterrupted import uninterrupted


async def test_the_result_and_the_error_of_the_work() -> None:
    async def seven() -> int:
        return 7

    async def fails() -> None:
        raise ValueError("no")

    assert await uninterrupted(seven()) == 7
    with pytest.raises(ValueError, match="no"):
        await uninterrupted(fails())


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("cancellations", [1, 3])
async def test_the_work_ends_before_the_cancellation(fails: bool, cancellations: int) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()
        if fails:
            raise ValueError("no")

    waiter = asyncio.create_task(uninterrupted(work()))
    await begun.wait()
    for _ in range(cancellations):
        waiter.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiter.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert ended.is_set()


async def test_a_timeout_around_it() -> None:
    """The timeout is raised as such, once the work is done."""
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()

    asyncio.get_running_loop().call_later(0.05, may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await uninterrupted(work())
    assert may_end.is_set()
