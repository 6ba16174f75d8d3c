"""The tables of indexes in memory."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import attrs

from application.ports.search_index import Difference, IndexState, Model, Space
from tests.fakes.codebooks import Vectors
from tests.fakes.database import InMemoryDatabase

_PAGE = 2


@attrs.define
class Index:
    """A model's index; ``uncopied`` are users from before it was followed who are not in it yet."""

    uncopied: set[UUID]
    is_kept: bool = True
    codebook: bytes | None = None
    dimension: int | None = None
    learnt_from: int = 0


class InMemoryIndexTables:
    """Indexes of the users of an :class:`InMemoryDatabase`, by model."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database
        self.indexes: dict[str, Index] = {}

    async def models(self) -> list[Model]:
        """Count users by model and dimension."""
        dimensions: dict[str, Counter[int]] = {name: Counter() for name in self.indexes}
        for user in self._database.users.values():
            if user.model is not None and user.vector is not None:
                dimensions.setdefault(user.model, Counter()).update([len(user.vector)])
        models = []
        for name, counted in sorted(dimensions.items()):
            dimension = max(counted, key=counted.__getitem__, default=None)
            users = counted[dimension] if dimension is not None else 0
            models.append(Model(name, dimension, users, is_indexed=name in self.indexes))
        return models

    async def look(self, model: str) -> IndexState | None:
        """Tell what is kept."""
        index = self.indexes.get(model)
        if index is None:
            return None
        return IndexState(index.dimension, index.is_kept, 0, repr(index), index.learnt_from)

    async def follow(self, space: Space, state: IndexState | None) -> None:
        """Note who is not copied yet."""
        if state is None:
            self.indexes[space.model] = Index(uncopied=set(self._users(space)))
        self.indexes[space.model].is_kept = True

    async def fill(self, space: Space, on_copied: Callable[[int], None]) -> None:
        """Copy all but the locked."""
        uncopied = self.indexes[space.model].uncopied
        copied = uncopied - self._database.locked
        uncopied -= copied
        on_copied(len(copied))

    async def compare(self, space: Space) -> Difference:
        """Count."""
        users = self._users(space)
        missing = tuple(self.indexes[space.model].uncopied & users.keys())
        return Difference(len(users), len(users) - len(missing), len(missing), 0, 0, missing)

    async def settle(self, space: Space) -> None:
        """Have nothing to do."""

    async def size(self, space: Space) -> int:
        """Take a byte for each user."""
        return len(self._indexed(space))

    async def sample(self, space: Space, count: int, *, of: int, seed: int) -> Vectors:
        """Begin at another place for each seed."""
        vectors = self._indexed(space)
        return (vectors[seed:] + vectors[:seed])[: min(count, of)]

    async def pages(self, space: Space, on_page: Callable[[int, int], None]) -> AsyncIterator[Vectors]:
        """Yield two at a time."""
        vectors = self._indexed(space)
        for first in range(0, len(vectors), _PAGE):
            on_page(first, len(vectors))
            yield vectors[first : first + _PAGE]

    async def codebook(self, model: str) -> bytes | None:
        """Return it."""
        index = self.indexes.get(model)
        return index.codebook if index is not None else None

    async def keep_codebook(self, space: Space, codebook: bytes, *, learnt_from: int) -> None:
        """Keep it."""
        index = self.indexes[space.model]
        index.codebook, index.dimension, index.learnt_from = codebook, space.dimension, learnt_from

    async def drop(self, model: str) -> None:
        """Forget it."""
        self.indexes.pop(model, None)

    def _users(self, space: Space) -> dict[UUID, tuple[float, ...]]:
        return {
            user.id: user.vector
            for user in self._database.users.values()
            if user.model == space.model and user.vector is not None and len(user.vector) == space.dimension
        }

    def _indexed(self, space: Space) -> Vectors:
        uncopied = self.indexes[space.model].uncopied
        return [vector for user, vector in self._users(space).items() if user not in uncopied]
