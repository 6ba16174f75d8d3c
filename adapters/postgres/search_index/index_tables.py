"""The tables of the indexes that a large gallery is searched by, for their owner, who makes, fills and drops them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.connection.conninfo import connection_string
from adapters.postgres.connection.errors import first_line, translated
from adapters.postgres.migrations.versions import pending
from adapters.postgres.search_index.feed import CODEBOOK, unit_vectors
from adapters.postgres.search_index.filling import compare, fill
from adapters.postgres.search_index.parts import MOST_DIMENSIONS, IndexParts
from adapters.postgres.search_index.standing import IndexNames, look_at_index
from adapters.postgres.tables.catalogue import OWN_SCHEMA
from adapters.postgres.tables.schema import Schema
from application.ports.search_index import Difference, IndexRefusedError, IndexState, Model, Space

_LOCK = 0x696E6478  # "indx": one at a time, on this database
_PATIENCE = "500ms"  # less than PostgreSQL's deadlock_timeout: where two wait for each other, this is who gives way
_ATTEMPTS = 30
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
# Where a database was restored elsewhere, rows can be from transactions that are still to come.
_FROM_NOW_ON = """
UPDATE {partition} SET changed = pg_catalog.pg_current_xact_id() WHERE changed > pg_catalog.pg_current_xact_id()
"""


class PostgresIndexTables:
    """The one who works on indexes, until the block of :meth:`opened` ends."""

    def __init__(self, connection: AsyncConnection[TupleRow], schema: Schema) -> None:
        self._connection = connection
        self._schema = schema

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator["PostgresIndexTables"]:
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
                yield cls(connection, schema)

    async def models(self) -> list[Model]:
        """Read users and partitions."""
        query = sql.SQL(_MODELS).format(
            users=self._schema.users.identifier,
            dimensions=sql.Identifier(self._schema.vector_schema, "vector_dims"),
        )
        return [Model(*row) for row in await (await self._connection.execute(query)).fetchall()]

    async def look(self, model: str) -> IndexState | None:
        """Ask the catalogue."""
        return await look_at_index(self._connection, self._schema, model)

    async def follow(self, space: Space, state: IndexState | None) -> None:
        """Make partition, function and triggers, in one transaction."""
        if space.dimension > MOST_DIMENSIONS:
            raise IndexRefusedError(
                f"{space.model} has vectors of {space.dimension} dimensions, "
                f"and {MOST_DIMENSIONS} at most can be indexed"
            )
        parts = self._parts(space)
        await self._briefly(
            [
                *(parts.making_partition() if state is None else ()),
                *parts.making_function(),
                *(parts.making_triggers() if state is None or not state.is_kept else ()),
            ]
        )

    async def fill(self, space: Space, on_copied: Callable[[int], None]) -> None:
        """Copy and delete, page by page."""
        await fill(self._connection, self._parts(space), on_copied=on_copied)

    async def compare(self, space: Space) -> Difference:
        """Join both tables."""
        return await compare(self._connection, self._parts(space))

    async def settle(self, space: Space) -> None:
        """Let no row be of the future, and the planner know how many there are."""
        parts = self._parts(space)
        await self._connection.execute(parts.compose(_FROM_NOW_ON))
        await self._connection.execute(sql.SQL("ANALYZE {}").format(parts.partition))

    async def size(self, space: Space) -> int:
        """Return the bytes of the partition and its own indexes; none where there is no partition."""
        table = self._parts(space).partition.as_string()
        [size] = await (await self._connection.execute(_BYTES, [table])).fetchone() or (0,)
        return int(size)

    async def sample(self, space: Space, count: int, *, of: int, seed: int) -> NDArray[np.float32]:
        """Return unit vectors, [vectors, dimension], of 256 MB at most as they are sent."""
        parts = self._parts(space)
        count = min(count, _SAMPLE_BYTES // (_ELEMENT_BYTES * parts.dimension))
        return await self._vectors(parts, parts.taking_examples(count, of, seed=seed))

    async def pages(self, space: Space, on_page: Callable[[int, int], None]) -> AsyncIterator[NDArray[np.float32]]:
        """Yield unit vectors, [vectors, dimension], as they lie in the table's blocks."""
        parts = self._parts(space)
        table = parts.partition.as_string()
        blocks, page = await (await self._connection.execute(_BLOCKS, [table, _PAGE_BYTES])).fetchone() or (0, 1)
        for first in range(0, blocks, page):
            on_page(first, blocks)
            yield await self._vectors(parts, parts.reading_blocks(first, first + page))

    async def codebook(self, model: str) -> bytes | None:
        """Read it."""
        row = await (await self._connection.execute(CODEBOOK, [model])).fetchone()
        return row[0] if row is not None else None

    async def keep_codebook(self, space: Space, codebook: bytes, *, learnt_from: int) -> None:
        """Write it, in the place of an earlier one."""
        await self._connection.execute(_KEEP_CODEBOOK, [space.model, space.dimension, learnt_from, codebook])

    async def drop(self, model: str) -> None:
        """Drop every part, in one transaction."""
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

    def _parts(self, space: Space) -> IndexParts:
        return IndexParts(self._schema, space.model, space.dimension)

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
