"""What many ask for at the same time."""

import asyncio
import gc
from contextvars import ContextVar
from typing import Any

import pytest

from application.single_flight import SingleFlight
from tests.fakes.clock import settle

JOB = ContextVar("job", default="nobody")


class Asked:
    """A question that is answered when the test says so, by how often it was asked, or with an error."""

    def __init__(self) -> None:
        self.times = 0
        self.answered = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        """Wait, then answer."""
        self.times += 1
        times = self.times
        await self.answered.wait()
        if self.error is not None:
            raise self.error
        return times


async def test_one_answer_serves_everybody_who_asks_meanwhile() -> None:
    """Also if the one who came first is cancelled; whoever comes later asks anew."""
    flight, asked = SingleFlight[str, int](), Asked()
    first, *others = [asyncio.create_task(flight.do("key", asked)) for _ in range(3)]
    await settle()
    first.cancel()
    await settle()
    asked.answered.set()
    assert await asyncio.gather(*others) == [1, 1]
    assert await flight.do("key", asked) == 2


async def test_an_error_is_told_to_everybody_who_waits() -> None:
    """And is not kept for those who come later."""
    flight, asked = SingleFlight[str, int](), Asked()
    asked.error = OSError("gone")
    waiting = [asyncio.create_task(flight.do("key", asked)) for _ in range(2)]
    await settle()
    asked.answered.set()
    assert await asyncio.gather(*waiting, return_exceptions=True) == [asked.error] * 2
    asked.error = None
    assert await flight.do("key", asked) == 2


@pytest.fixture
async def complaints() -> list[dict[str, Any]]:
    """Return what the event loop complains of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    return complaints


async def test_a_failure_that_nobody_waits_for_any_more_is_told_to_nobody(complaints: list[dict[str, Any]]) -> None:
    """Who asked was cancelled, as at a worker's end: nothing is left over for the event loop to complain of."""
    flight, asked = SingleFlight[str, int](), Asked()
    asked.error = ValueError()
    asking = asyncio.create_task(flight.do("key", asked))
    await settle()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    asked.answered.set()
    await settle()
    gc.collect()
    assert complaints == []


async def test_what_nobody_waits_for_is_asked_and_fails_unheard(complaints: list[dict[str, Any]]) -> None:
    """Whoever comes meanwhile waits for the same answer."""
    flight, asked = SingleFlight[str, int](), Asked()
    flight.begin("key", asked)
    coming = asyncio.create_task(flight.do("key", asked))
    await settle()
    asked.answered.set()
    assert await coming == 1
    asked.error = ValueError()
    flight.begin("key", asked)
    await settle()
    gc.collect()
    assert (asked.times, complaints) == (2, [])


async def test_a_job_asks_in_its_own_name_what_it_waits_for_and_nothing_else() -> None:
    """What goes on after the job is not told as a part of it."""
    flight = SingleFlight[str, str]()

    async def whose() -> str:
        return JOB.get()

    async def ask() -> tuple[str, str]:
        JOB.set("a job")
        waited_for = await flight.do("key", whose)
        flight.begin("key", whose)
        return waited_for, await flight.do("key", whose)

    assert await asyncio.create_task(ask()) == ("a job", "nobody")


async def test_what_is_asked_at_the_end_is_given_up(complaints: list[dict[str, Any]]) -> None:
    """Nothing goes on after that; without anything to give up it is over at once."""
    flight, asked = SingleFlight[str, int](), Asked()
    flight.begin("key", asked)
    await settle()
    asking = asyncio.create_task(flight.do("key", asked))
    await settle()
    await flight.close()
    await asyncio.wait([asking])
    assert (asking.cancelled(), asked.times) == (True, 1)
    await flight.close()
    assert complaints == []
