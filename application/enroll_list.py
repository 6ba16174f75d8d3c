"""Enrolment of everybody on a list: an application's users, when it begins to use the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import attrs

from application.enroll_user import EnrollUser
from application.enrolment_doubts import EnrolmentDoubt
from application.enrolment_images import EnrolmentImage, Fetch
from application.learning import Hears, Progress, learnt, some_at_once
from application.ports.gallery import Enrolment

_PAGE = 1000


@attrs.frozen(kw_only=True)
class EnrollList:
    """Enrols with the embedder of that ``model``; ``concurrency`` says how many users are in hand at once."""

    model: str
    enroll: EnrollUser
    enrolment: Enrolment
    concurrency: int

    async def __call__(
        self, listed: Mapping[UUID, Sequence[str]], fetch: Fetch, hears: Hears, progress: Progress
    ) -> None:
        """Enrol each user from the photographs that are listed, unless they are enrolled with that embedder already.

        So it is safe to interrupt and to run again.

        Raises:
            AttemptFailedError: a system that everybody needs failed; who was told before is enrolled.

        """
        seen = 0

        def looked_at(users: int) -> None:
            nonlocal seen
            seen += users
            progress(seen, len(listed))

        async def work(user_id: UUID) -> None:
            async def learn(images: Sequence[EnrolmentImage]) -> Sequence[EnrolmentDoubt]:
                return (await self.enroll(user_id, images)).doubts

            hears(await learnt(user_id, listed[user_id], fetch, learn))
            looked_at(1)

        async def unknown() -> AsyncIterator[UUID]:
            users = list(listed)
            for start in range(0, len(users), _PAGE):
                page = users[start : start + _PAGE]
                enrolled = await self.enrolment.enrolled(page, self.model)
                looked_at(len(enrolled))
                for user in page:
                    if user not in enrolled:
                        yield user

        await some_at_once(unknown(), work, concurrency=self.concurrency)
