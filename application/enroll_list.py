"""Enrolment of everybody on a list: an application's users, when it begins to use the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import attrs

from application.enrolment_doubts import EnrolmentDoubt, far_apart
from application.enrolment_images import EnrolmentImage, EnrolmentRefusedError, Fetch
from application.learning import Hears, learnt, some_at_once
from application.make_template import MakeTemplate
from application.ports.gallery import Enrolment
from application.progress import Progress
from domain.decision import Calibration

_PAGE = 1000


@attrs.frozen(kw_only=True)
class EnrollList:
    """Enrols those who have no template yet; ``concurrency`` says how many users are in hand at once."""

    make_template: MakeTemplate
    enrolment: Enrolment
    calibration: Calibration
    concurrency: int

    async def __call__(
        self, listed: Mapping[UUID, Sequence[str]], fetch: Fetch, hears: Hears, progress: Progress
    ) -> None:
        """Enrol each user from the photographs that are listed.

        Who has a template, of whatever embedder, is passed over, as is who is deleted: nobody's is replaced, and it
        is safe to interrupt and to run again. Look-alikes are not looked for: comparing everybody with everybody
        takes too long.

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
                return await self._enroll(user_id, images)

            hears(await learnt(user_id, listed[user_id], fetch, learn))
            looked_at(1)

        async def wanting() -> AsyncIterator[UUID]:
            users = list(listed)
            for start in range(0, len(users), _PAGE):
                page = users[start : start + _PAGE]
                passed_over = await self.enrolment.not_to_learn(page)
                looked_at(len(passed_over))
                for user in page:
                    if user not in passed_over:
                        yield user

        await some_at_once(wanting(), work, concurrency=self.concurrency)

    async def _enroll(self, user_id: UUID, images: Sequence[EnrolmentImage]) -> Sequence[EnrolmentDoubt]:
        if not await self.enrolment.user_exists(user_id):
            raise EnrolmentRefusedError([f"there is no user {user_id}"])
        made = await self.make_template(images)
        saved = await self.enrolment.save_template(
            user_id, made.template, photographs=made.photographs, image_refs=made.image_refs, replace=False
        )
        if not saved:
            raise EnrolmentRefusedError([f"user {user_id} was deleted or enrolled meanwhile"])
        return far_apart([image.name for image in images], made.embeddings, self.calibration)
