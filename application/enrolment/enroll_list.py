"""Enrolment of everybody on a list: an application's users, when it begins to use the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from uuid import UUID

import attrs

from application.concurrency import for_each_bounded
from application.enrolment.bulk import MOST_IN_A_ROW, EnrolmentResult, FaultTolerantEnrolment, TellResult
from application.enrolment.enroll import Compared, Enroll
from application.enrolment.enrolment_warnings import EnrolmentWarning, SameTemplate
from application.enrolment.template import Fetch, MadeTemplate
from application.ports.gallery import Enrolment
from application.progress import Progress
from domain.errors import DatabaseUnavailableError

_PAGE = 1000
MOST_COMPARED: Final = 100_000_000
"""So many comparisons are made for one list, such as of a thousand users with a hundred thousand: minutes at most."""


@attrs.frozen
class ListEnrolled:
    """How many users of a list were passed over, and how many were enrolled without being compared with the others.

    ``not_searched`` says why nobody looked for the same templates as theirs; None where somebody did.
    """

    passed_over: int
    not_compared: int
    not_searched: str | None = None


@attrs.frozen(kw_only=True)
class EnrollList:
    """Enrols those who have no template yet, for that ``model``; ``concurrency`` says how many are in hand at once.

    ``most_compared`` says after how many comparisons no more are made: everybody with everybody takes too long.
    """

    model: str
    enroll: Enroll
    enrolment: Enrolment
    concurrency: int
    most_compared: int = MOST_COMPARED

    async def __call__(
        self,
        listed: Mapping[UUID, Sequence[str]],
        fetch: Fetch,
        tell: TellResult,
        tell_late: TellResult,
        progress: Progress,
        *,
        strict: bool = False,
    ) -> ListEnrolled:
        """Enrol each user from the photographs that are listed.

        Who has a template, of whatever embedder, is passed over, as is who is deleted: nobody's is replaced, and it
        is safe to interrupt and to run again.

        Each is compared with the others, until ``most_compared`` is reached or the database does not answer. Of those
        who come after that, ``tell_late`` hears at the end who has the same template as another user, if the database
        answers that. Where it is ``strict``, everybody is compared, however long it takes.

        Raises:
            AttemptFailedError: a system that everybody needs failed; who was told before without a problem is enrolled.

        """
        run = _Run(self, listed, fetch, tell, progress, strict)
        await for_each_bounded(run.wanting(), run.work, concurrency=self.concurrency)
        not_searched = await run.look_for_same_templates(tell_late)
        return ListEnrolled(run.passed_over, len(run.not_compared), not_searched)


@attrs.define
class _Run:
    """One time through a list."""

    of: EnrollList
    listed: Mapping[UUID, Sequence[str]]
    fetch: Fetch
    tell: TellResult
    progress: Progress
    strict: bool
    passed_over: int = 0
    not_compared: list[UUID] = attrs.field(factory=list)
    _enroll: Enroll = attrs.field(init=False)
    _compared: int = 0
    _seen: int = 0
    _failures_in_a_row: list[DatabaseUnavailableError] = attrs.field(factory=list)
    _tolerant: FaultTolerantEnrolment = attrs.field(factory=FaultTolerantEnrolment)

    @_enroll.default
    def _(self) -> Enroll:
        return attrs.evolve(self.of.enroll, compare=self._compare)

    async def wanting(self) -> AsyncIterator[UUID]:
        """Yield who is to be enrolled; count the others."""
        users = list(self.listed)
        for start in range(0, len(users), _PAGE):
            page = users[start : start + _PAGE]
            left_alone = await self.of.enrolment.not_to_enrol(page)
            self.passed_over += len(left_alone)
            self._looked_at(len(left_alone))
            for user in page:
                if user not in left_alone:
                    yield user

    async def work(self, user_id: UUID) -> None:
        """Enrol a user, and tell what came of it."""
        photographs = self.listed[user_id]

        async def store() -> Sequence[EnrolmentWarning]:
            enrolled = await self._enroll(user_id, photographs, self.fetch, replace=False, strict=self.strict)
            return enrolled.warnings

        self.tell(await self._tolerant(user_id, len(photographs), store))
        self._looked_at(1)
        if len(self._failures_in_a_row) >= MOST_IN_A_ROW:
            raise self._failures_in_a_row[-1]

    async def look_for_same_templates(self, tell: TellResult) -> str | None:
        """Tell of those who were not compared, and have the same template as another user; or return why it did not."""
        try:
            same = await self.of.enrolment.same_templates(self.of.model) if self.not_compared else {}
        except DatabaseUnavailableError as error:
            return str(error)
        for user_id in self.not_compared:
            if user_id in same:
                warning = SameTemplate(same[user_id])
                tell(EnrolmentResult(user_id, len(self.listed[user_id]), warnings=(warning,)))
        return None

    async def _compare(self, user_id: UUID, made: MadeTemplate) -> Compared:
        if self.strict:
            return await self._compare_or_refuse(user_id, made)
        if self._compared >= self.of.most_compared:
            self.not_compared.append(user_id)
            return Compared(0)
        try:
            compared = await self.of.enroll.compare(user_id, made)
        except DatabaseUnavailableError:
            self.not_compared.append(user_id)
            self._compared = self.of.most_compared
            raise
        self._compared += compared.users
        return compared

    async def _compare_or_refuse(self, user_id: UUID, made: MadeTemplate) -> Compared:
        """Compare; remember failures in a row of this alone, for a bad photograph in between says nothing of it."""
        try:
            compared = await self.of.enroll.compare(user_id, made)
        except DatabaseUnavailableError as error:
            self._failures_in_a_row.append(error)
            raise
        self._failures_in_a_row.clear()
        return compared

    def _looked_at(self, users: int) -> None:
        self._seen += users
        self.progress(self._seen, len(self.listed))
