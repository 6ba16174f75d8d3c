"""The index that a large gallery is searched through: when one is worth while, how it is built, when it is good enough.

Searches go through codes, by a codebook that is learnt from the gallery. They may overlook the nearest user. So some of
the users are searched for among the others, and the shortlist grows where too few of them find the nearest one.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Generic, Protocol, TypeVar

import attrs

from application.ports.clock import Clock
from application.ports.codebooks import Codebooks, Recall
from application.ports.search_index import (
    EXACT_BELOW,
    Difference,
    IndexRefusedError,
    IndexState,
    IndexTables,
    Model,
    Space,
)
from application.progress import StepProgress
from domain.errors import FacematchError

_Vectors = TypeVar("_Vectors")

_PASSES = 5
_PAUSE_SECONDS = 1.0
_EXAMPLES = 50_000
"""So many vectors are enough to learn from."""
_PROBES = 500
_TO_LEARN_FROM, _TO_SEARCH_FOR = 1, 2  # seeds
_LEARN_AGAIN = 4
"""A gallery that has grown by this factor is learnt from again: there were fewer examples, or too few to learn from."""
_WANTED = 0.998
"""A shortlist grows until so many of the users who are searched for find the nearest one."""
_LEAST_FOUND = 0.995
"""Where fewer find the nearest one, searches overlook too many."""


class UnknownModelError(FacematchError):
    """Nobody is enrolled with a model of that name, and it has no index."""

    def __init__(self, model: str) -> None:
        super().__init__(f"nobody is enrolled with {model}, and it has no index")


class IndexWatcher(Protocol):
    """Hears what is done about each model's index."""

    def watching(self, model: str) -> AbstractContextManager[StepProgress]:
        """Return what hears of the progress, within the block."""

    def needs_none(self, model: Model) -> None:
        """Hear that its users are too few."""

    def lacks_one(self, model: Model) -> None:
        """Hear that its users are many, and every search compares with all of them."""

    def dropped(self, model: str) -> None:
        """Hear that its index is gone."""


@attrs.frozen
class Shortlist:
    """How often searches find the nearest user, now and with a shortlist that is long ``enough``.

    That one is never shorter; where none is long enough, it is the shortest that finds as many as any.
    """

    in_use: Recall
    enough: Recall

    @classmethod
    def measured(cls, recalls: Sequence[Recall]) -> "Shortlist":
        """Judge what was measured with the shortlist in use, and with longer and longer ones."""
        wanted = min(_WANTED, recalls[-1].found)
        return cls(recalls[0], next(recall for recall in recalls if recall.found >= wanted))

    @property
    def is_too_short(self) -> bool:
        """Whether a longer one finds more, and more are wanted."""
        return self.enough.shortlist > self.in_use.shortlist

    @property
    def overlooks(self) -> bool:
        """Whether searches find the nearest user too rarely."""
        return self.in_use.found < _LEAST_FOUND


@attrs.frozen
class IndexReport:
    """One model's index after a comparison; ``serves`` is False where a part of it is missing or damaged.

    ``shortlist`` is None where nothing was measured: searches find the nearest user in any case, or cannot use it.
    """

    model: str
    serves: bool
    bytes: int
    difference: Difference
    shortlist: Shortlist | None = None

    @property
    def is_good(self) -> bool:
        """Whether there is nothing that building it would mend."""
        can_find_more = self.shortlist is not None and self.shortlist.overlooks and self.shortlist.is_too_short
        return self.serves and self.difference.rows == 0 and not can_find_more


@attrs.frozen(kw_only=True)
class KeepIndex(Generic[_Vectors]):
    """Builds, compares and drops indexes, while others read and write."""

    tables: IndexTables[_Vectors]
    codebooks: Codebooks[_Vectors]
    clock: Clock

    async def build_all(self, wanted: str | None, watcher: IndexWatcher) -> list[IndexReport]:
        """Build the index of every model whose users are many or that has one, or of the ``wanted`` one; compare them.

        Raises:
            UnknownModelError: there is no such model.

        """
        built: dict[str, Shortlist | None] = {}
        for model in await self._models(wanted):
            if model.is_indexed or model.users >= EXACT_BELOW or wanted is not None:
                with watcher.watching(model.name) as progress:
                    built[model.name] = await self.build(model, progress)
            else:
                watcher.needs_none(model)
        indexed = _indexed(await self._models(wanted), watcher)
        return [attrs.evolve(await self.check(model), shortlist=built.get(model.name)) for model in indexed]

    async def check_all(self, wanted: str | None, watcher: IndexWatcher) -> list[IndexReport]:
        """Compare every index, or that of the ``wanted`` model, and measure those that serve; change nothing.

        Raises:
            UnknownModelError: there is no such model.

        """
        reports = []
        for model in _indexed(await self._models(wanted), watcher):
            report = await self.check(model)
            if report.serves:
                with watcher.watching(model.name) as progress:
                    report = attrs.evolve(report, shortlist=await self.measure(model, progress))
            reports.append(report)
        return reports

    async def drop_all(self, wanted: str | None, watcher: IndexWatcher) -> bool:
        """Drop every index, or that of the ``wanted`` model; return False where there was none.

        Raises:
            UnknownModelError: there is no such model.

        """
        indexed = [model.name for model in await self._models(wanted) if model.is_indexed]
        for model in indexed:
            await self.tables.drop(model)
            watcher.dropped(model)
        return bool(indexed)

    async def build(self, model: Model, progress: StepProgress) -> Shortlist | None:
        """Make what is missing of a model's index and bring it in step.

        Learns from the gallery where nothing fitting was learnt yet. Lets all searches look closely at more users from
        now on where too few find the nearest one. Returns None where they find it in any case.

        Raises:
            IndexRefusedError: vectors that cannot be indexed, or users that somebody keeps locked.

        """
        state = await self.tables.look(model.name)
        dimension = model.dimension or (state and state.dimension)
        if not dimension:
            raise IndexRefusedError(f"nobody is enrolled with {model.name}: there is nothing to index, but to --drop")
        space = Space(model.name, dimension)
        await self.tables.follow(space, state)
        await self._fill(space, model.users, progress)
        await self.tables.settle(space)
        kept = await self._usable(space) if _still_fits(state, space, model.users) else None
        learnt_from = state.learnt_from if state is not None and kept is not None else model.users
        codebook = kept if kept is not None else await self._learn(space, model.users, progress)
        shortlist = await self._rehearse(space, codebook, model.users, progress)
        if shortlist is not None and shortlist.is_too_short:
            codebook = self.codebooks.with_shortlist(codebook, shortlist.enough.shortlist)
            shortlist = Shortlist(shortlist.enough, shortlist.enough)
        if codebook != kept:
            await self.tables.keep_codebook(space, codebook, learnt_from=learnt_from)
        return shortlist

    async def measure(self, model: Model, progress: StepProgress) -> Shortlist | None:
        """Tell how often searches find the nearest user now; None as from :meth:`build`, or where there is no index."""
        state = await self.tables.look(model.name)
        if state is None or not state.dimension:
            return None
        space = Space(model.name, state.dimension)
        codebook = await self._usable(space)
        return await self._rehearse(space, codebook, model.users, progress) if codebook is not None else None

    async def check(self, model: Model) -> IndexReport:
        """Compare the index of a model that has one with the users, row by row."""
        state = await self.tables.look(model.name)
        space = Space(model.name, model.dimension or (state and state.dimension) or 1)
        difference = await self.tables.compare(space)
        size = await self.tables.size(space)
        serves = state is not None and state.serves(space.dimension) and await self._usable(space) is not None
        return IndexReport(model.name, serves, size, difference)

    async def _models(self, wanted: str | None) -> Sequence[Model]:
        models = [model for model in await self.tables.models() if wanted in (None, model.name)]
        if wanted is not None and not models:
            raise UnknownModelError(wanted)
        return models

    async def _fill(self, space: Space, users: int, progress: StepProgress) -> None:
        copied = 0

        def on_copied(rows: int) -> None:
            nonlocal copied
            copied += rows
            progress("copying", copied, max(users, copied))

        for _ in range(_PASSES):
            await self.tables.fill(space, on_copied)
            progress("comparing", 0, 0)
            if (await self.tables.compare(space)).rows == 0:
                return
            await self.clock.sleep(_PAUSE_SECONDS)
        raise IndexRefusedError("rows of users stayed locked by somebody's long transaction; run it again")

    async def _usable(self, space: Space) -> bytes | None:
        """Return the codebook, None where there is none for vectors of that dimension or it is damaged."""
        codebook = await self.tables.codebook(space.model)
        is_usable = codebook is not None and await self.codebooks.can_be_used(codebook, space.dimension)
        return codebook if is_usable else None

    async def _learn(self, space: Space, users: int, progress: StepProgress) -> bytes:
        progress("learning", 0, 0)
        return await self.codebooks.learn(await self.tables.sample(space, _EXAMPLES, of=users, seed=_TO_LEARN_FROM))

    async def _rehearse(self, space: Space, codebook: bytes, users: int, progress: StepProgress) -> Shortlist | None:
        probes = await self.tables.sample(space, _PROBES, of=users, seed=_TO_SEARCH_FOR)
        pages = self.tables.pages(space, partial(progress, "measuring"))
        recalls = await self.codebooks.rehearse(codebook, probes, pages)
        return Shortlist.measured(recalls) if recalls else None


def _still_fits(state: IndexState | None, space: Space, users: int) -> bool:
    """Tell whether what was learnt, if it is not damaged, need not be learnt again."""
    return state is not None and state.dimension == space.dimension and users <= _LEARN_AGAIN * state.learnt_from


def _indexed(models: Sequence[Model], watcher: IndexWatcher) -> Iterator[Model]:
    """Yield those that have an index, and tell of those that should."""
    for model in models:
        if model.is_indexed:
            yield model
        elif model.users >= EXACT_BELOW:
            watcher.lacks_one(model)
