"""Work of nobody in particular: it goes on when whoever began it has ended, and tells nothing in their name."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def begin(work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
    """Begin it as a task that knows nothing of the job in hand: neither its trace nor what its log lines say."""
    return asyncio.create_task(work, context=contextvars.Context())
