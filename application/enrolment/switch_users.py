"""The switch: prepared templates take the place of everybody's old ones, and the gallery is the new embedder's."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from uuid import UUID

import attrs

from application.ports.clock import Clock
from application.ports.reenrolment import Outdated, Reenrolment
from application.progress import Progress
from domain.errors import DatabaseRefusedError, FacematchError

_PAGE = 1000
_PATIENCE_SECONDS = 60
"""How long users who cannot be switched at this moment are waited for: jobs wait meanwhile."""


@attrs.frozen
class Switch:
    """How many users have got their prepared template, and how many still have one of another embedder.

    ``refused`` says of some of these why the database would not change them.
    """

    users: int
    left_behind: int
    refused: Mapping[UUID, str] = attrs.field(factory=dict)


class LeftBehindError(FacematchError):
    """So many users would keep the template of another embedder, and would not be recognised any more."""

    def __init__(self, users: int, model: str, *, half_done: bool) -> None:
        super().__init__(f"users of other embedders without a template of {model}: {users}")
        self.half_done = half_done


class NothingSwitchedError(FacematchError):
    """Nobody has a template of the model, or the database would change none of those who were tried.

    ``unexplained`` says that it gave no reason for that.
    """

    def __init__(self, why: str, *, unexplained: bool = False) -> None:
        super().__init__(why)
        self.unexplained = unexplained


class HalfSwitchedError(FacematchError):
    """Users could not be switched who had a template ready: the switch is not finished.

    ``unexplained`` is the number of those for whom the database gave no reason.
    """

    def __init__(self, unexplained: int, refused: Mapping[UUID, str]) -> None:
        parts = [f"{unexplained} for no reason that was given"] if unexplained else []
        if refused:
            parts.append(f"{len(refused)} refused by the database")
        super().__init__(f"users could not be switched: {', '.join(parts)}")
        self.unexplained = unexplained
        self.refused = refused


class OvertakenError(FacematchError):
    """The gallery has become another embedder's: users who were switched to this one are not recognised."""

    def __init__(self, model: str) -> None:
        super().__init__(f"another switch has begun while users were switched to {model}, which they are no more")


@attrs.frozen(kw_only=True)
class SwitchUsers:
    """Works for the embedder of that ``model``."""

    model: str
    reenrolment: Reenrolment
    clock: Clock

    async def __call__(self, progress: Progress, jobs_wait: Callable[[], None], *, partial: bool) -> Switch:
        """Switch everybody. Safe to interrupt and to run again: it goes on where it was.

        From the first to the last no job is decided by templates, and after that none by those of another embedder.
        ``jobs_wait`` hears that this has begun; where the gallery is this embedder's already, no job has to wait.

        Raises:
            LeftBehindError: some have none ready, and it is not to be ``partial``.
            NothingSwitchedError: nobody has one of the model, or nobody's row can be changed.
            HalfSwitchedError: somebody's row cannot be changed, and it is not to be ``partial``.
            OvertakenError: a switch to another embedder has begun meanwhile.
            DatabaseUnavailableError: no answer.

        """
        total = await self._look(partial=partial)
        await self._begin(jobs_wait)
        switched, unexplained, refused = await self._switch(total, progress)
        if (unexplained or refused) and not partial:
            raise HalfSwitchedError(unexplained, refused)
        if not await self.reenrolment.finish(self.model):
            raise OvertakenError(self.model)
        return Switch(switched, await self.reenrolment.count(self.model), refused)

    async def _look(self, *, partial: bool) -> int:
        """Return how many are to be switched, once it is known that they can be."""
        await self.reenrolment.tidy()
        total = behind = 0
        async for user in outdated(self.reenrolment, self.model):
            total, behind = total + user.is_prepared, behind + (not user.is_prepared)
        half_done = await self.reenrolment.half_done() == self.model
        if behind and not partial:
            raise LeftBehindError(behind, self.model, half_done=half_done)
        if total and not half_done:
            await self._check_that_one_can_switch()
        return total

    async def _begin(self, jobs_wait: Callable[[], None]) -> None:
        if not await self.reenrolment.begin(self.model):
            raise NothingSwitchedError(f"nobody has a template of {self.model}, not even prepared")
        if await self.reenrolment.half_done() == self.model:
            jobs_wait()

    async def _check_that_one_can_switch(self) -> None:
        """Find somebody who can be switched, before anything waits for it."""
        why = None
        users = await self.reenrolment.prepared(self.model, after=None, limit=_PAGE)
        for user in users:
            try:
                if await self.reenrolment.can_switch(self.model, user):
                    return
            except DatabaseRefusedError as error:
                why = str(error)
        raise NothingSwitchedError(
            f"none of the first {len(users)} users can be switched: {why or 'no reason was given'}",
            unexplained=why is None,
        )

    async def _switch(self, total: int, progress: Progress) -> tuple[int, int, Mapping[UUID, str]]:
        """Return how many were switched, how many are left without a reason, and whose change was refused, with it."""
        switched, waited, refused = 0, 0, dict[UUID, str]()
        while True:
            async for page in self._prepared():
                users = [user for user in page if user not in refused]
                switched += await self._switch_page(users, refused)
                progress(switched, total)
            await self.reenrolment.tidy()
            left = [user async for page in self._prepared() for user in page if user not in refused]
            if not left or waited == _PATIENCE_SECONDS:
                return switched, len(left), refused
            await self.clock.sleep(1)
            waited += 1

    async def _switch_page(self, users: Sequence[UUID], refused: dict[UUID, str]) -> int:
        """Return how many were switched; where somebody's change is refused, find out whose."""
        try:
            return await self.reenrolment.switch(self.model, users) if users else 0
        except DatabaseRefusedError as error:
            if len(users) == 1:
                refused[users[0]] = str(error)
                return 0
            middle = len(users) // 2
            halves = users[:middle], users[middle:]
            return sum([await self._switch_page(half, refused) for half in halves])

    async def _prepared(self) -> AsyncIterator[Sequence[UUID]]:
        after = None
        while page := await self.reenrolment.prepared(self.model, after=after, limit=_PAGE):
            yield page
            after = page[-1]


async def outdated(reenrolment: Reenrolment, model: str) -> AsyncIterator[Outdated]:
    """Yield every user who has a template of another embedder than that of the model."""
    after = None
    while page := await reenrolment.outdated(model, after=after, limit=_PAGE):
        for user in page:
            yield user
        after = page[-1].user_id
