"""Enrolment of one user, alone or one of many: a template is made of the photographs, compared, and stored."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import attrs

from application.enrolment.enrolment_warnings import EnrolmentWarning, NotCompared, look_alike
from application.enrolment.template import EnrolmentRefusedError, Fetch, MadeTemplate, MakeTemplate
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, ThresholdPolicy
from domain.errors import DatabaseUnavailableError, FacematchError
from domain.faces import FaceEmbedding


class EnrolmentDoubtedError(FacematchError):
    """Nothing was written, for what would have been warnings."""

    def __init__(self, warnings: Sequence[EnrolmentWarning]) -> None:
        super().__init__("refused for its warnings")
        self.warnings = tuple(warnings)


@attrs.frozen
class Enrolled:
    """The template that was stored, and what speaks against it."""

    template: FaceEmbedding
    warnings: tuple[EnrolmentWarning, ...] = ()


@attrs.frozen
class Compared:
    """With how many other users a template was compared, and what that says against it."""

    users: int
    warnings: tuple[EnrolmentWarning, ...] = ()


Compare = Callable[[UUID, MadeTemplate], Awaitable[Compared]]


@attrs.frozen(kw_only=True)
class CompareWithOthers:
    """Looks for another user who would be taken for this one."""

    enrolment: Enrolment
    threshold: ThresholdPolicy

    async def __call__(self, user_id: UUID, made: MadeTemplate) -> Compared:
        """Compare with every other user's template.

        Raises:
            DatabaseUnavailableError: no answer.

        """
        others = await self.enrolment.others(user_id, made.template, limit=NEEDED_CANDIDATES)
        return Compared(others.count, tuple(look_alike(others, self.threshold, made.photographs)))


@attrs.frozen(kw_only=True)
class Enroll:
    """Stores the mean direction of the faces on the given photographs as a user's template."""

    make_template: MakeTemplate
    enrolment: Enrolment
    compare: Compare
    _one_at_a_time: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def __call__(
        self, user_id: UUID, photographs: Sequence[str], fetch: Fetch, *, replace: bool, strict: bool = False
    ) -> Enrolled:
        """Return what was stored, with what speaks against the photographs and what comparing it says.

        Where the photographs lie is remembered, if all of them lie in the object store. A template that is there
        already is in the way, unless it is to be ``replace``d. Where it is ``strict``, nothing is stored that anything
        speaks against: of two users with the same photograph, the second one is refused.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph that is missing or without exactly one usable face.
            EnrolmentDoubtedError: it is strict, and something speaks against the template.
            AttemptFailedError: the system failed; nothing was written.

        """
        if not await self.enrolment.user_exists(user_id):
            raise EnrolmentRefusedError([f"there is no user {user_id}, or they are deleted"])
        made = await self.make_template(photographs, fetch)
        if strict:
            async with self._one_at_a_time:
                doubts = (*made.warnings, *(await self.compare(user_id, made)).warnings)
                if doubts:
                    raise EnrolmentDoubtedError(doubts)
                await self._save(user_id, made, replace=replace)
            return Enrolled(made.template)
        await self._save(user_id, made, replace=replace)
        try:
            warnings = (await self.compare(user_id, made)).warnings
        except DatabaseUnavailableError as error:
            warnings = (NotCompared(str(error)),)
        return Enrolled(made.template, (*made.warnings, *warnings))

    async def _save(self, user_id: UUID, made: MadeTemplate, *, replace: bool) -> None:
        if not await self.enrolment.save_template(
            user_id,
            made.template,
            photographs=made.photographs,
            image_refs=made.image_refs,
            image_digests=made.image_digests,
            replace=replace,
        ):
            raise EnrolmentRefusedError([f"user {user_id} was deleted {'' if replace else 'or enrolled '}meanwhile"])
