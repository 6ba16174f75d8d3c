"""Building, comparing and dropping the indexes that a large gallery is searched by: work for the tables' owner."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import attrs
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.connection.conninfo import connection_string
from adapters.postgres.connection.errors import first_line, translated
from adapters.postgres.migrations.versions import pending
from adapters.postgres.search_index.feed import CODEBOOK, unit_vectors
from adapters.postgres.search_index.filling import Difference, compare, fill
from adapters.postgres.search_index.parts import MOST_DIMENSIONS, IndexParts
from adapters.postgres.search_index.standing import IndexNames, IndexState, look_at_index
from adapters.postgres.tables.catalogue import OWN_SCHEMA
from adapters.postgres.tables.schema import Schema
from application.progress import StepProgress
from domain.errors import FacematchError

_LOCK = 0x696E6478  # "indx": one at a time, on this database
_PATIENCE = "500ms"  # less than PostgreSQL's deadlock_timeout: where two wait for each other, this is who gives way
_ATTEMPTS = 30
_PASSES = 5
_PAUSE_SECONDS = 1.0
_SESSION = """
SELECT pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
       pg_catalog.set_config('statement_timeout', '0', false)
"""
_BE_ALONE = "SELECT pg_catalog.pg_try_advisory_lock(%s)"
_WAIT_BRIEFLY = "SELECT pg_catalog.set_config('lock_timeout', %s, true)"
_MODELS = """
SELECT DISTINCT ON (name) name, used.dimension, coalesce(used.users, 0), indexed.name IS NOT NULL
  FROM (SELECT u.face_embedding_model AS name, {dimensions}(u.face_embedding) AS dimension, count(*) AS users
          FROM {users} u WHERE u.face_embedding IS NOT NULL AND u.face_embedding_model IS NOT NULL GROUP BY 1, 2) used
  FULL JOIN (SELECT pg_catalog.obj_description(inhrelid, 'pg_class') AS name FROM pg_catalog.pg_inherits
              WHERE inhparent = 'facematch.gallery'::regclass) indexed USING (name)
 ORDER BY name, used.users DESC
"""
_BLOCKS = """
SELECT pg_catalog.pg_relation_size(%s::regclass) / pg_catalog.current_setting('block_size')::integer,
       %s / pg_catalog.current_setting('block_size')::integer
"""
_BYTES = "SELECT coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass(%s)), 0)"
_KEEP_CODEBOOK = """
INSERT INTO facematch.codebooks (model, dimension, users, content) VALUES (%s, %s, %s, %s)
ON CONFLICT (model) DO UPDATE SET dimension = excluded.dimension, users = excluded.users, content = excluded.content,
                                  learnt_at = clock_timestamp()
"""
_SAMPLE_BYTES = 256 * 1024**2
_ELEMENT_BYTES = 2
_PAGE_BYTES = 4 * 1024**2
_PROBES = 500
_TO_LEARN_FROM, _TO_SEARCH_FOR = 1, 2  # seeds
_LEARN_AGAIN = 4
"""A gallery that has grown by this factor is learnt from again: there were fewer examples, or too few to learn from."""
# Where a database was restored elsewhere, rows can be from transactions that are still to come.
_FROM_NOW_ON = """
UPDATE {partition} SET changed = pg_catalog.pg_current_xact_id() WHERE changed > pg_catalog.pg_current_xact_id()
"""
Learn = Callable[[NDArray[np.float32]], bytes]
"""Makes a codebook, from examples, [examples, dimension]."""
CanBeUsed = Callable[[bytes, int], bool]
"""Tells whether a codebook is one for vectors of that dimension; it may be damaged."""


class Recall(Protocol):
    """Which share of searches finds the nearest user: with the shortlist that a codebook has, or a better one.

    That one is never shorter, and no other finds more where none is long enough.
    """

    @property
    def shortlist(self) -> int:
        """How many users a search looks at closely."""

    @property
    def found(self) -> float:
        """Which share of searches finds the nearest user."""

    @property
    def enough(self) -> int:
        """How many users a search had better look at closely."""

    @property
    def with_enough(self) -> "Recall":
        """The same once it does."""


class Rehearsal(Protocol):
    """Searches for some users among all others."""

    def show(self, vectors: NDArray[np.float32]) -> None:
        """Take in a page of the gallery, [users, dimension], with the users who are searched for in it."""

    def recall(self) -> Recall | None:
        """Tell how they went; None where there was nobody else."""

    def with_shortlist(self, users: int) -> bytes:
        """Return the codebook, for searches that look closely at so many users."""


Rehearse = Callable[[bytes, NDArray[np.float32]], Rehearsal | None]
"""Prepares searches by a codebook for these users, [users, dimension]; None where they find everybody in any case."""


class IndexRefusedError(FacematchError):
    """An index cannot be made here, or not now; the message says why and what to do."""


@attrs.frozen
class Model:
    """A model that ``users`` are enrolled with, or that has an index, or both.

    ``dimension`` is that of most of their vectors, None where there are none.
    """

    name: str
    dimension: int | None
    users: int
    is_indexed: bool


@attrs.frozen
class IndexReport:
    """One model's index after a comparison; ``serves`` is False where a part of it is missing or damaged."""

    model: str
    serves: bool
    bytes: int
    difference: Difference

    @property
    def is_good(self) -> bool:
        """Whether searches go through it and find everybody."""
        return self.serves and self.difference.rows == 0


class IndexKeeper:
    """The one who works on indexes, until the block of :meth:`opened` ends."""

    def __init__(
        self, connection: AsyncConnection[TupleRow], schema: Schema, can_be_used: CanBeUsed, rehearse: Rehearse
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._can_be_used = can_be_used
        self._rehearse = rehearse

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, can_be_used: CanBeUsed, rehearse: Rehearse) -> AsyncIterator["IndexKeeper"]:
        """Connect as the owner of the tables.

        Raises:
            DatabaseUnavailableError: no answer.
            SchemaError: not migrated.
            IndexRefusedError: ``users`` is no table, the role may not, or another one is at work.

        """
        with translated("index"), _refusals_explained():
            async with await AsyncConnection.connect(connection_string(url), autocommit=True) as connection:
                schema = await Schema.resolve(connection)
                await connection.execute(_SESSION)
                await _check(connection, schema)
                yield cls(connection, schema, can_be_used, rehearse)

    async def models(self) -> list[Model]:
        """Return every model that is in use or has an index, finished or not."""
        query = sql.SQL(_MODELS).format(
            users=self._schema.users.identifier,
            dimensions=sql.Identifier(self._schema.vector_schema, "vector_dims"),
        )
        return [Model(*row) for row in await (await self._connection.execute(query)).fetchall()]

    async def build(self, model: Model, learn: Learn, progress: StepProgress, *, examples: int) -> Recall | None:
        """Make what is missing of a model's index and bring it in step, while others read and write.

        Learns from about so many ``examples``, where nothing fitting was learnt yet. Searches for some of the users,
        and lets all searches look closely at more users from now on where too few of those found the nearest one.
        Returns how often they find it then, None where there is nothing to measure: they find it in any case.

        Raises:
            IndexRefusedError: vectors that cannot be indexed, or users that somebody keeps locked.

        """
        state = await look_at_index(self._connection, self._schema, model.name)
        dimension = model.dimension or (state and state.dimension)
        if not dimension:
            raise IndexRefusedError(f"nobody is enrolled with {model.name}: there is nothing to index, but to --drop")
        if dimension > MOST_DIMENSIONS:
            raise IndexRefusedError(
                f"{model.name} has vectors of {dimension} dimensions, and {MOST_DIMENSIONS} at most can be indexed"
            )
        parts = IndexParts(self._schema, model.name, dimension)
        await self._follow(parts, state)
        await self._fill(parts, model.users, progress)
        await self._connection.execute(parts.compose(_FROM_NOW_ON))
        await self._connection.execute(sql.SQL("ANALYZE {}").format(parts.partition))
        fits = state is not None and state.dimension == dimension and model.users <= _LEARN_AGAIN * state.learnt_from
        kept = await self._codebook(model.name, dimension) if fits else None
        learnt_from = state.learnt_from if state is not None and kept is not None else model.users
        content = kept
        if content is None:
            progress("learning", 0, 0)
            sample = await self._take_examples(parts, examples, model.users, seed=_TO_LEARN_FROM)
            content = await asyncio.to_thread(learn, sample)
        rehearsal = await self._rehearsed(parts, content, model.users, progress)
        recall = await asyncio.to_thread(rehearsal.recall) if rehearsal is not None else None
        if rehearsal is not None and recall is not None and recall.enough > recall.shortlist:
            content = rehearsal.with_shortlist(recall.enough)
            recall = recall.with_enough
        if content != kept:
            await self._connection.execute(_KEEP_CODEBOOK, [model.name, dimension, learnt_from, content])
        return recall

    async def measure(self, model: Model, progress: StepProgress) -> Recall | None:
        """Tell how often searches find the nearest user now; None as from :meth:`build`, or where there is no index."""
        state = await look_at_index(self._connection, self._schema, model.name)
        content = await self._codebook(model.name, state.dimension) if state is not None and state.dimension else None
        if state is None or state.dimension is None or content is None:
            return None
        parts = IndexParts(self._schema, model.name, state.dimension)
        rehearsal = await self._rehearsed(parts, content, model.users, progress)
        return await asyncio.to_thread(rehearsal.recall) if rehearsal is not None else None

    async def check(self, model: Model) -> IndexReport:
        """Compare the index of a model that has one with ``users``, row by row."""
        state = await look_at_index(self._connection, self._schema, model.name)
        dimension = model.dimension or (state and state.dimension) or 1
        parts = IndexParts(self._schema, model.name, dimension)
        difference = await compare(self._connection, parts)
        [size] = await (await self._connection.execute(_BYTES, [parts.partition.as_string()])).fetchone() or (0,)
        serves = (
            state is not None and state.serves(dimension) and await self._codebook(model.name, dimension) is not None
        )
        return IndexReport(model.name, serves, size, difference)

    async def drop(self, model: str) -> None:
        """Take a model's index away with all its parts: searches are exact from then on."""
        names = IndexNames.of(model)
        users = self._schema.users.identifier
        await self._briefly(
            sql.SQL(template).format(
                users=users,
                trigger=sql.Identifier(names.trigger),
                truncate_trigger=sql.Identifier(names.truncate_trigger),
                function=sql.Identifier(OWN_SCHEMA, names.function),
                partition=sql.Identifier(OWN_SCHEMA, names.partition),
                model=sql.Literal(model),
            )
            for template in (
                "DROP TRIGGER IF EXISTS {trigger} ON {users}",
                "DROP TRIGGER IF EXISTS {truncate_trigger} ON {users}",
                "DROP FUNCTION IF EXISTS {function}()",
                "DROP TABLE IF EXISTS {partition}",
                "DELETE FROM facematch.codebooks WHERE model = {model}",
            )
        )

    async def _follow(self, parts: IndexParts, state: IndexState | None) -> None:
        """From its commit on, what anybody writes to ``users`` is in the partition, too."""
        await self._briefly(
            [
                *(parts.making_partition() if state is None else ()),
                *parts.making_function(),
                *(parts.making_triggers() if state is None or not state.is_kept else ()),
            ]
        )

    async def _fill(self, parts: IndexParts, users: int, progress: StepProgress) -> None:
        copied = 0

        def on_copied(rows: int) -> None:
            nonlocal copied
            copied += rows
            progress("copying", copied, max(users, copied))

        for _ in range(_PASSES):
            await fill(self._connection, parts, on_copied=on_copied)
            progress("comparing", 0, 0)
            if (await compare(self._connection, parts)).rows == 0:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise IndexRefusedError("rows of users stayed locked by somebody's long transaction; run it again")

    async def _codebook(self, model: str, dimension: int) -> bytes | None:
        """Return the codebook, None where there is none for vectors of that dimension or it is damaged."""
        row = await (await self._connection.execute(CODEBOOK, [model])).fetchone()
        is_there = row is not None and await asyncio.to_thread(self._can_be_used, row[0], dimension)
        return row[0] if row is not None and is_there else None

    async def _take_examples(self, parts: IndexParts, count: int, users: int, *, seed: int) -> NDArray[np.float32]:
        count = min(count, _SAMPLE_BYTES // (_ELEMENT_BYTES * parts.dimension))
        return await self._vectors(parts, parts.taking_examples(count, users, seed=seed))

    async def _rehearsed(
        self, parts: IndexParts, learnt: bytes, users: int, progress: StepProgress
    ) -> Rehearsal | None:
        """Return searches for some of the users, after they have seen the whole gallery."""
        probes = await self._take_examples(parts, _PROBES, users, seed=_TO_SEARCH_FOR)
        rehearsal = self._rehearse(learnt, probes)
        if rehearsal is None:
            return None
        table = parts.partition.as_string()
        blocks, page = await (await self._connection.execute(_BLOCKS, [table, _PAGE_BYTES])).fetchone() or (0, 1)
        for first in range(0, blocks, page):
            progress("measuring", first, blocks)
            vectors = await self._vectors(parts, parts.reading_blocks(first, first + page))
            await asyncio.to_thread(rehearsal.show, vectors)
        return rehearsal

    async def _vectors(self, parts: IndexParts, query: sql.Composed) -> NDArray[np.float32]:
        row = await (await self._connection.execute(query, binary=True)).fetchone()
        content = row[0] or b"" if row is not None else b""
        return unit_vectors(content, parts.dimension)

    async def _briefly(self, statements: Iterable[sql.Composed]) -> None:
        """Run them in one transaction that keeps nobody waiting for long; again and again until it gets its locks."""
        wanted: Sequence[sql.Composed] = list(statements)
        for _ in range(_ATTEMPTS):
            try:
                async with self._connection.transaction():
                    await self._connection.execute(_WAIT_BRIEFLY, [_PATIENCE])
                    for statement in wanted:
                        await self._connection.execute(statement)
            except psycopg.errors.LockNotAvailable:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return
        raise IndexRefusedError(f"{self._schema.users} is in use by somebody's long transaction; run it again")


async def _check(connection: AsyncConnection[TupleRow], schema: Schema) -> None:
    """Raise :class:`IndexRefusedError` where no index can be had, or somebody else is at work."""
    if await pending(connection):
        raise IndexRefusedError("the database lacks migrations: run `facematch migrate`")
    if not schema.users.is_table:
        raise IndexRefusedError(f"{schema.users} is no table, and only a table can be followed: searches stay exact")
    [is_mine] = await (await connection.execute(_BE_ALONE, [_LOCK])).fetchone() or (False,)
    if not is_mine:
        raise IndexRefusedError("another `facematch index` is at work on this database, or its session still ends")


@contextmanager
def _refusals_explained() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise IndexRefusedError(f"{first_line(error)}: run it as `migrate`, as the owner of the tables") from error
    except (psycopg.DataError, psycopg.NotSupportedError, psycopg.ProgrammingError) as error:
        raise IndexRefusedError(f"the database refused: {first_line(error)}") from error
