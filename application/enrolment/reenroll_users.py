"""Re-enrolment: everybody's template is made anew by another embedder, while the old ones are still in use.

That takes as long as the photographs take. Then all of them take the place of the old ones
(:mod:`application.enrolment.switch_users`), which takes seconds: nobody is forgotten in between.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import attrs

from application.concurrency import for_each_bounded
from application.enrolment.bulk import EnrolmentResult, FaultTolerantEnrolment, TellResult
from application.enrolment.enrolment_warnings import EnrolmentWarning
from application.enrolment.switch_users import outdated
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError, Fetch, MakeTemplate
from application.ports.reenrolment import Outdated, Reenrolment
from application.progress import Progress


@attrs.frozen(kw_only=True)
class ReenrollUsers:
    """Works for the embedder of that ``model``; ``concurrency`` says how many users are in hand at once."""

    model: str
    make_template: MakeTemplate
    reenrolment: Reenrolment
    concurrency: int

    async def prepare(
        self, fetch: Fetch, photographs: Mapping[UUID, Sequence[str]], tell: TellResult, progress: Progress
    ) -> None:
        """Prepare a template for each user who needs one and has none ready.

        It is made of those ``photographs`` that are named for the user, else of those of the old template: one that is
        known to be another by now may show anybody, and is a problem of that user's. Safe to interrupt and to run
        again, and beside everything else.

        Raises:
            AttemptFailedError: a system that everybody needs failed; who was told before is prepared.

        """
        await self.reenrolment.tidy()
        total, seen = await self.reenrolment.count(self.model), 0
        enrolled = FaultTolerantEnrolment()

        async def work(user: Outdated) -> None:
            nonlocal seen
            if not user.is_prepared:
                if user.user_id in photographs:
                    prepared = await self._prepare(user, fetch, photographs[user.user_id], enrolled)
                else:
                    prepared = await self._prepare(user, _unchanged(fetch, user), user.image_refs, enrolled)
                tell(prepared)
            seen += 1
            progress(seen, total)

        await for_each_bounded(outdated(self.reenrolment, self.model), work, concurrency=self.concurrency)
        await self.reenrolment.tidy()

    async def _prepare(
        self, user: Outdated, fetch: Fetch, photographs: Sequence[str], enrolled: FaultTolerantEnrolment
    ) -> EnrolmentResult:
        if not photographs:
            return EnrolmentResult(user.user_id, 0, ("it is not known of which photographs the template was made",))

        async def store() -> Sequence[EnrolmentWarning]:
            made = await self.make_template(photographs, fetch)
            source = attrs.evolve(user, image_refs=made.image_refs, image_digests=made.image_digests)
            if not await self.reenrolment.prepare(source, made.template, photographs=made.photographs):
                raise EnrolmentRefusedError(["the user's own template was replaced or deleted meanwhile"])
            return made.warnings

        return await enrolled(user.user_id, len(photographs), store)


def _unchanged(fetch: Fetch, user: Outdated) -> Fetch:
    """Return what fetches the photographs of the user's template, as long as they are the same."""
    digests = dict(zip(user.image_refs, user.image_digests, strict=False))

    async def fetch_unchanged(name: str) -> EnrolmentImage:
        image = await fetch(name)
        if name in digests and digests[name] != image.digest:
            raise EnrolmentRefusedError([f"{name}: this is another photograph than that of the template"])
        return image

    return fetch_unchanged
