"""The tables of indexes in memory."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import attrs

from application.ports.search_index import Difference, IndexRefusedError, IndexState, Model, Space
from tests.fakes.codebooks import Vectors
from tests.fakes.database import InMemoryDatabase

Vector = tuple[float, ...]
User = tuple[str | None, Vector | None]
"""A user's model and vector."""
_PAGE = 2
_MOST_DIMENSIONS = 4_000
_EXAMPLES = 10


@attrs.define
class Index:
    """A model's index: the vectors in it, by user, and the users as they were when they were followed last."""

    space: Space
    vectors: dict[UUID, Vector] = attrs.field(factory=dict, repr=False)
    seen: dict[UUID, User] = attrs.field(factory=dict, repr=False)
    is_kept: bool = True
    codebook: bytes | None = None
    dimension: int | None = None
    learnt_from: int = 0


class InMemoryIndexTables:
    """Indexes of the users of an :class:`InMemoryDatabase`, by model.

    What was written of a user comes into an index when it is asked for next.
    """

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
        """Keep what is in it, whomever it followed so far."""
        if space.dimension > _MOST_DIMENSIONS:
            told = f"{space.model} has vectors of {space.dimension} dimensions, and {_MOST_DIMENSIONS} at most"
            raise IndexRefusedError(told)
        if state is None:
            self.indexes[space.model] = Index(space, seen=self._everybody())
        index = self._followed(space.model)
        index.space, index.is_kept = space, True

    def stop_following(self, model: str) -> None:
        """Have somebody switch off what follows users."""
        self._followed(model).is_kept = False

    async def fill(self, space: Space, on_copied: Callable[[int], None]) -> None:
        """Copy all but the locked."""
        vectors, users = self._followed(space.model).vectors, self._users(space)
        copied = {
            user: vector
            for user, vector in users.items()
            if vectors.get(user) != vector and user not in self._database.locked
        }
        vectors.update(copied)
        for user in vectors.keys() - users.keys():
            del vectors[user]
        on_copied(len(copied))

    async def compare(self, space: Space) -> Difference:
        """Compare both."""
        vectors, users = self._followed(space.model).vectors, self._users(space)
        missing, left_over = users.keys() - vectors.keys(), vectors.keys() - users.keys()
        different = {user for user in users.keys() & vectors.keys() if users[user] != vectors[user]}
        examples = tuple(missing | left_over | different)[:_EXAMPLES]
        return Difference(len(users), len(vectors), len(missing), len(left_over), len(different), examples)

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

    def _everybody(self) -> dict[UUID, User]:
        return {user.id: (user.model, user.vector) for user in self._database.users.values()}

    def _users(self, space: Space) -> dict[UUID, Vector]:
        return {
            user: vector
            for user, (model, vector) in self._everybody().items()
            if model == space.model and vector is not None and len(vector) == space.dimension and any(vector)
        }

    def _followed(self, model: str) -> Index:
        index, everybody = self.indexes[model], self._everybody()
        if index.is_kept:
            users = self._users(index.space)
            for user in {user for user, _ in index.seen.items() ^ everybody.items()}:
                index.vectors.pop(user, None)
                if user in users:
                    index.vectors[user] = users[user]
        index.seen = everybody
        return index

    def _indexed(self, space: Space) -> Vectors:
        return list(self._followed(space.model).vectors.values())
