"""Enrolment of one user of many: one user's trouble is no other's."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import attrs

from application.enrolment.enroll import EnrolmentDoubtedError
from application.enrolment.enrolment_warnings import EnrolmentWarning
from application.enrolment.template import EnrolmentRefusedError
from domain.errors import AttemptFailedError, Scope
from domain.faces import InvalidEmbeddingError


@attrs.frozen
class EnrolmentResult:
    """A user who was enrolled from so many photographs, and what speaks against it; or was not, and why.

    ``is_doubted`` says that the warnings are why.
    """

    user_id: UUID
    photographs: int
    problems: tuple[str, ...] = ()
    warnings: tuple[EnrolmentWarning, ...] = ()
    is_doubted: bool = False


MOST_IN_A_ROW: Final = 5
TellResult = Callable[[EnrolmentResult], None]
Store = Callable[[], Awaitable[Sequence[EnrolmentWarning]]]


@attrs.define
class FaultTolerantEnrolment:
    """Enrols one user after another, and tolerates single failures.

    A photograph that cannot be read or a row that stays locked looks like a system that failed. It is told as that
    user's trouble; when it happens to :data:`MOST_IN_A_ROW` users in a row, the system has failed for everybody.
    """

    _in_a_row: int = attrs.field(default=0, init=False)

    async def __call__(self, user_id: UUID, photographs: int, store: Store) -> EnrolmentResult:
        """Store a user's template, made of so many photographs; return what came of it.

        Raises:
            AttemptFailedError: a system failed that everybody needs.

        """
        try:
            warnings = await store()
        except AttemptFailedError as error:
            self._in_a_row = 0 if error.scope is Scope.ONE else self._in_a_row + 1
            if self._in_a_row >= MOST_IN_A_ROW:
                raise
            return EnrolmentResult(user_id, photographs, (str(error),))
        except EnrolmentRefusedError as refused:
            result = EnrolmentResult(user_id, photographs, refused.problems)
        except EnrolmentDoubtedError as doubted:
            result = EnrolmentResult(user_id, photographs, warnings=doubted.warnings, is_doubted=True)
        except InvalidEmbeddingError as error:
            result = EnrolmentResult(user_id, photographs, (str(error),))
        else:
            result = EnrolmentResult(user_id, photographs, warnings=tuple(warnings))
        self._in_a_row = 0
        return result
