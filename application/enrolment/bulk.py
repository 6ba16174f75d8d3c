"""Enrolment of one user of many: one user's bad photograph is no other's trouble."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import attrs

from application.enrolment.doubts import EnrolmentDoubt
from application.enrolment.images import EnrolmentImage, EnrolmentRefusedError, Fetch, fetched
from domain.errors import AttemptFailedError
from domain.faces import InvalidEmbeddingError


@attrs.frozen
class EnrolmentResult:
    """A user who was enrolled from so many photographs, and what speaks against it; or was not, and why."""

    user_id: UUID
    photographs: int
    problems: tuple[str, ...] = ()
    doubts: tuple[EnrolmentDoubt, ...] = ()


TellResult = Callable[[EnrolmentResult], None]
Store = Callable[[Sequence[EnrolmentImage]], Awaitable[Sequence[EnrolmentDoubt]]]


async def enrolment_result(user_id: UUID, photographs: Sequence[str], fetch: Fetch, store: Store) -> EnrolmentResult:
    """Fetch a user's photographs and store a template made of them; return what came of it.

    Raises:
        AttemptFailedError: a system failed that everybody needs.

    """
    try:
        doubts = await store(await fetched(fetch, photographs))
    except EnrolmentRefusedError as refused:
        return EnrolmentResult(user_id, len(photographs), refused.problems)
    except InvalidEmbeddingError as error:
        return EnrolmentResult(user_id, len(photographs), (str(error),))
    except AttemptFailedError as error:
        if not error.for_one:
            raise
        return EnrolmentResult(user_id, len(photographs), (str(error),))
    return EnrolmentResult(user_id, len(photographs), doubts=tuple(doubts))
