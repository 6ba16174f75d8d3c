"""Enrolment of everybody on a list: an application's users, when it begins to use the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import attrs

from application.concurrency import for_each_bounded
from application.enrolment.bulk import FaultTolerantEnrolment, TellResult
from application.enrolment.enroll import Enroll
from application.enrolment.enrolment_warnings import EnrolmentWarning
from application.enrolment.template import Fetch
from application.ports.gallery import Enrolment
from application.progress import Progress

_PAGE = 1000


@attrs.frozen(kw_only=True)
class EnrollList:
    """Enrols those who have no template yet; ``concurrency`` says how many users are in hand at once."""

    enroll: Enroll
    enrolment: Enrolment
    concurrency: int

    async def __call__(
        self, listed: Mapping[UUID, Sequence[str]], fetch: Fetch, tell: TellResult, progress: Progress
    ) -> int:
        """Enrol each user from the photographs that are listed; return how many are passed over.

        Who has a template, of whatever embedder, is passed over, as is who is deleted: nobody's is replaced, and it
        is safe to interrupt and to run again. Look-alikes are not looked for: comparing everybody with everybody
        takes too long.

        Raises:
            AttemptFailedError: a system that everybody needs failed; who was told before without a problem is enrolled.

        """
        run = _Run(self.enroll, self.enrolment, listed, fetch, tell, progress)
        await for_each_bounded(run.wanting(), run.work, concurrency=self.concurrency)
        return run.passed_over


@attrs.define
class _Run:
    """One time through a list."""

    enroll: Enroll
    enrolment: Enrolment
    listed: Mapping[UUID, Sequence[str]]
    fetch: Fetch
    tell: TellResult
    progress: Progress
    passed_over: int = 0
    _seen: int = 0
    _tolerant: FaultTolerantEnrolment = attrs.field(factory=FaultTolerantEnrolment)

    async def wanting(self) -> AsyncIterator[UUID]:
        """Yield who is to be enrolled; count the others."""
        users = list(self.listed)
        for start in range(0, len(users), _PAGE):
            page = users[start : start + _PAGE]
            left_alone = await self.enrolment.not_to_enrol(page)
            self.passed_over += len(left_alone)
            self._looked_at(len(left_alone))
            for user in page:
                if user not in left_alone:
                    yield user

    async def work(self, user_id: UUID) -> None:
        """Enrol a user, and tell what came of it."""
        photographs = self.listed[user_id]

        async def store() -> Sequence[EnrolmentWarning]:
            return (await self.enroll(user_id, photographs, self.fetch, replace=False)).warnings

        self.tell(await self._tolerant(user_id, len(photographs), store))
        self._looked_at(1)

    def _looked_at(self, users: int) -> None:
        self._seen += users
        self.progress(self._seen, len(self.listed))
