"""Re-enrolment: everybody's template is made anew by another embedder, while the old ones are still in use.

First templates are prepared, which takes as long as their photographs take. Then all of them take the place of the old
ones, which takes seconds: nobody is forgotten in between.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

import attrs

from application.bulk_enrolment import EnrolmentResult, TellResult, enrolment_result
from application.enrolment_doubts import EnrolmentDoubt, far_apart
from application.enrolment_images import EnrolmentImage, EnrolmentRefusedError, Fetch
from application.make_template import MakeTemplate
from application.ports.reenrolment import Outdated, Reenrolment
from application.progress import Progress
from application.some_at_once import some_at_once
from domain.decision import Calibration
from domain.errors import FacematchError

_PAGE = 1000


@attrs.frozen
class Switch:
    """How many users have got their prepared template, and how many still have one of another embedder."""

    users: int
    left_behind: int


class LeftBehindError(FacematchError):
    """So many users would keep the template of another embedder, and would not be recognised any more."""

    def __init__(self, users: int, model: str) -> None:
        super().__init__(f"users of other embedders without a template of {model}: {users}")


class OvertakenError(FacematchError):
    """The gallery has become another embedder's: users who were switched to this one are not recognised."""

    def __init__(self, model: str) -> None:
        super().__init__(f"another switch has begun while users were switched to {model}, which they are no more")


@attrs.frozen(kw_only=True)
class ReenrollUsers:
    """Works for the embedder of that ``model``; ``concurrency`` says how many users are in hand at once."""

    model: str
    make_template: MakeTemplate
    reenrolment: Reenrolment
    calibration: Calibration
    concurrency: int

    async def prepare(
        self, fetch: Fetch, photographs: Mapping[UUID, Sequence[str]], tell: TellResult, progress: Progress
    ) -> None:
        """Prepare a template for each user who needs one and has none ready.

        It is made of those ``photographs`` that are named for the user, else of those of the old template. Safe to
        interrupt and to run again, and beside everything else.

        Raises:
            AttemptFailedError: a system that everybody needs failed; who was told before is prepared.

        """
        await self.reenrolment.tidy()
        total, seen = await self.reenrolment.count(self.model), 0

        async def work(user: Outdated) -> None:
            nonlocal seen
            if not user.is_prepared:
                tell(await self._prepare(user, fetch, photographs.get(user.user_id, user.image_refs)))
            seen += 1
            progress(seen, total)

        await some_at_once(self._outdated(), work, concurrency=self.concurrency)
        await self.reenrolment.tidy()

    async def switch(self, progress: Progress, *, partial: bool) -> Switch:
        """Let prepared templates take the place of the old ones. Safe to interrupt and to run again.

        From the first to the last no job is decided by templates, and after that none by those of another embedder.

        Raises:
            LeftBehindError: some have none ready, and it is not to be ``partial``, or nobody has; nothing was changed.
            OvertakenError: a switch to another embedder has begun meanwhile.
            DatabaseUnavailableError: no answer.

        """
        await self.reenrolment.tidy()
        behind = 0
        async for user in self._outdated():
            behind += not user.is_prepared
        total, switched, after = await self.reenrolment.count(self.model) - behind, 0, None
        if behind and not (partial and total > 0):
            raise LeftBehindError(behind, self.model)
        await self.reenrolment.begin(self.model)
        while True:
            found = await self.reenrolment.switch(self.model, after=after, limit=_PAGE)
            switched += found.users
            progress(switched, total)
            if found.last is None:
                if not await self.reenrolment.finish(self.model):
                    raise OvertakenError(self.model)
                await self.reenrolment.tidy()
                return Switch(switched, await self.reenrolment.count(self.model))
            after = found.last

    async def _outdated(self) -> AsyncIterator[Outdated]:
        after = None
        while page := await self.reenrolment.outdated(self.model, after=after, limit=_PAGE):
            for user in page:
                yield user
            after = page[-1].user_id

    async def _prepare(self, user: Outdated, fetch: Fetch, photographs: Sequence[str]) -> EnrolmentResult:
        if not photographs:
            return EnrolmentResult(user.user_id, 0, ("it is not known of which photographs the template was made",))

        async def store(images: Sequence[EnrolmentImage]) -> Sequence[EnrolmentDoubt]:
            made = await self.make_template(images)
            source = attrs.evolve(user, image_refs=made.image_refs)
            if not await self.reenrolment.prepare(source, made.template, photographs=made.photographs):
                raise EnrolmentRefusedError(["the user's own template was replaced or deleted meanwhile"])
            return far_apart([image.name for image in images], made.embeddings, self.calibration)

        return await enrolment_result(user.user_id, photographs, fetch, store)
