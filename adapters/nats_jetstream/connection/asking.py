"""Asking NATS, and asking again what got no answer: how long, how often, and when that makes sense."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from domain.errors import MessagingUnavailableError

PATIENCE_SECONDS: Final = 30.0
_API_SECONDS = 5.0
_TRY_SECONDS = 2.5
_LOOK_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.1
_LONGER_BY_SECONDS = 0.2
_NO_LEADER = 10008
_IS_BEING_STORED = 10158
"""What a cluster says of a message while it is storing one of that id."""
_Answer = TypeVar("_Answer")


def jetstream(client: Client) -> JetStreamContext:
    """Return what JetStream is asked through; it waits a few seconds for an answer."""
    return client.jetstream(timeout=_API_SECONDS)


async def retry_once(send: Callable[[float], Awaitable[_Answer]]) -> _Answer:
    """Send once more what got no answer, because it may have been lost with a connection that is back meanwhile.

    Only for what may arrive twice. ``send`` takes the seconds that it may wait.
    """
    try:
        return await try_once(send)
    except nats.errors.TimeoutError:
        return await try_once(send)


async def try_once(send: Callable[[float], Awaitable[_Answer]]) -> _Answer:
    """Send what is to wait no longer than others do."""
    return await send(_TRY_SECONDS)


async def connected(client: Client, seconds: float) -> None:
    """Wait until the client is connected: what is sent before that is kept, and arrives whenever it is.

    Raises:
        nats.errors.TimeoutError: it is not, so many seconds later.

    """
    try:
        async with asyncio.timeout(seconds):
            while not client.is_connected:  # noqa: ASYNC110 - nobody would set an event
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        raise nats.errors.TimeoutError from error


async def patiently(ask: Callable[[], Awaitable[_Answer]], seconds: float) -> _Answer:
    """Ask again, ever later, what nobody answered: a cluster elects another leader within seconds.

    Only for what may be asked twice. What the server refuses is not asked again; the last error is raised as it is.
    """
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await ask()
        except MessagingUnavailableError as error:
            if not _may_pass(error) or loop.time() >= end:
                raise
        await asyncio.sleep(pause)
        pause += _LONGER_BY_SECONDS


def _may_pass(error: MessagingUnavailableError) -> bool:
    cause = error.__cause__
    return not isinstance(cause, nats.js.errors.APIError) or cause.err_code in {_NO_LEADER, _IS_BEING_STORED}
