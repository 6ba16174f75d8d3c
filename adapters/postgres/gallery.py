"""The gallery: ``users.face_embedding`` by cosine distance, searched exactly or, among many users, through an index."""

import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import attrs
import numpy as np
import psycopg
from pgvector import Vector
from psycopg import sql
from psycopg.rows import TupleRow

from adapters.postgres.active_model import IS_ANOTHERS
from adapters.postgres.database import Connection, Database
from adapters.postgres.errors import swallowed
from adapters.postgres.following import Follower, MakeCodes, Report
from adapters.postgres.gallery_feed import GalleryFeed
from adapters.postgres.nearest import Wanted, besides, exact, proposed
from adapters.postgres.recent import Recent
from adapters.postgres.search_index import EXACT_BELOW, IndexState, look_at_index
from adapters.postgres.statements import Statement
from adapters.postgres.templates import REMEMBER, fingerprint
from application.ports.clock import Clock
from application.ports.gallery import Neighbours, Others
from domain.decision import LARGEST_GALLERY_WITH_COHORT, Candidate
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError, GalleryTooSlowError
from domain.faces import FaceEmbedding

_RECENT_SECONDS = 10.0
_COUNT = """
SELECT count(*) FROM {users} u
 WHERE u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL AND {condition}
"""
_NOT_TO_ENROL = """
SELECT u.id FROM {users} u WHERE u.id = ANY (%(users)s) AND (u.face_embedding IS NOT NULL OR NOT {not_deleted})
"""
_SAVE = """
WITH saved AS (
  UPDATE {users} u SET face_embedding = %(vector)s, face_embedding_model = %(model)s
   WHERE NOT {is_anothers} AND {may_be_saved}
  RETURNING u.id, {fingerprint} AS fingerprint)
{remember}
"""
_MAY_BE_SAVED = "u.id = %(user)s AND {not_deleted} AND (%(replace)s OR u.face_embedding IS NULL)"
_WHY_NOT_SAVED = "SELECT {is_anothers}, EXISTS (SELECT FROM {users} u WHERE {may_be_saved})"
_SAVED = "SELECT id, %(photographs)s, fingerprint, %(image_refs)s::text[] FROM saved"


class PostgresGallery:
    """Exact search, always right, unless the model has an index that holds ``exact_below`` users or more.

    ``report`` hears why an index that is there cannot be searched.
    """

    def __init__(
        self,
        database: Database,
        make_codes: MakeCodes,
        *,
        clock: Clock,
        report: Report = lambda _: None,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        self._database = database
        self._make_codes = make_codes
        self._report = report
        self._clock = clock
        self._exact_below = exact_below
        self._counts = Recent(self._count, clock=clock, seconds=_RECENT_SECONDS)
        self._indexes = Recent(self._look_at_index, clock=clock, seconds=_RECENT_SECONDS)
        self._followers: dict[tuple[str, int], Follower] = {}
        self._exact: dict[Wanted, Statement] = {}
        self._proposed: dict[Wanted, Statement] = {}

    async def load(self, model: str, dimension: int) -> None:
        """Return when searches are as quick as they will be: an index that serves is loaded.

        Raises:
            DatabaseUnavailableError: no answer.
            SchemaError: the index cannot be read here.

        """
        index = await self._serving(model, dimension)
        if index is not None:
            await self._follower(model, dimension).load(index.version)

    async def close(self) -> None:
        """Give up what is being loaded."""
        for follower in self._followers.values():
            await follower.close()

    async def search(self, probe: FaceEmbedding, *, limit: int) -> Neighbours:
        """Return the nearest, but for rows whose distance is not a number, and count who are so few that it matters.

        Where too few are found among those proposed, as when the index was dropped a moment ago, everybody is compared
        with after all.
        """
        size = await self.size(probe.model)
        are_few = size <= LARGEST_GALLERY_WITH_COHORT
        nearest = await self._proposed_nearest(probe, limit)
        if nearest is not None:
            return Neighbours(nearest, await self._count(probe.model) if are_few else size)
        wanted = Wanted(probe.model, probe.dimension, limit, counted=are_few)
        rows = await self._search(self._searching_all(wanted), probe, {})
        [(*_, counted, _), *_] = rows
        return Neighbours(_candidates(rows), counted if are_few else size)

    async def size(self, model: str) -> int:
        """Return a count that is at most 10 seconds old; one query serves everyone who asks meanwhile."""
        return await self._counts.get(model)

    async def is_slow(self, model: str, dimension: int) -> bool:
        """Tell whether users are many and have no index that serves; the answer may be 10 seconds old, too."""
        index = await self._indexes.get(model)
        return not (index and index.serves(dimension)) and await self.size(model) >= self._exact_below

    async def _proposed_nearest(self, probe: FaceEmbedding, limit: int) -> tuple[Candidate, ...] | None:
        """Return whom the index finds; None where it does not serve, or finds too few."""
        index = await self._serving(probe.model, probe.dimension)
        if index is None:
            return None
        proposal = await self._follower(probe.model, probe.dimension).propose(probe.vector, index.version)
        if proposal is None:
            return None
        whom = {"users": proposal.users, **attrs.asdict(proposal.since)}
        searching = self._searching_proposed(Wanted(probe.model, probe.dimension, limit))
        nearest = _candidates(await self._search(searching, probe, whom))
        return nearest if len(nearest) == limit else None

    def _searching_all(self, wanted: Wanted) -> Statement:
        return self._exact.setdefault(wanted, Statement(lambda schema: exact(schema, wanted)))

    def _searching_proposed(self, wanted: Wanted) -> Statement:
        return self._proposed.setdefault(wanted, Statement(lambda schema: proposed(schema, wanted)))

    async def _search(
        self, statement: Statement, probe: FaceEmbedding, whom: Mapping[str, object]
    ) -> Sequence[TupleRow]:
        values = {"probe": _vector(probe), "model": probe.model, **whom}
        query = statement.on(self._database.schema)
        async with self._searching("nearest") as connection:
            rows = await (await connection.execute(query, values)).fetchall()
        [(*_, is_ready), *_] = rows
        if not is_ready:
            raise GalleryNotReadyError(f"the gallery is not of {probe.model}, or not yet")
        return rows

    @asynccontextmanager
    async def _searching(self, name: str) -> AsyncIterator[Connection]:
        try:
            async with self._database.operation(name) as connection:
                yield connection
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, TimeoutError | psycopg.errors.QueryCanceled):
                raise GalleryTooSlowError(f"{error}; every job searches alike") from error
            raise

    def _follower(self, model: str, dimension: int) -> Follower:
        key = model, dimension
        if key not in self._followers:
            feed = GalleryFeed(self._database, model, dimension)
            self._followers[key] = Follower(feed, self._make_codes, clock=self._clock, report=self._report)
        return self._followers[key]

    async def _serving(self, model: str, dimension: int) -> IndexState | None:
        """Return the index that a search goes through, None where everybody is compared with."""
        index = await self._indexes.get(model)
        return index if index and index.users >= self._exact_below and index.serves(dimension) else None

    async def _look_at_index(self, model: str) -> IndexState | None:
        async with self._database.operation("look_at_index") as connection:
            return await look_at_index(connection, self._database.schema, model)

    async def _count(self, model: str) -> int:
        schema = self._database.schema
        query = sql.SQL(_COUNT).format(users=schema.users.identifier, condition=schema.candidate_condition("u"))
        async with self._searching("count") as connection:
            return _number(await (await connection.execute(query, {"model": model})).fetchone())


class PostgresEnrolment:
    """Templates in ``users``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_exists(self, user_id: UUID) -> bool:
        """Tell whether the row is there."""
        schema = self._database.schema
        query = sql.SQL("SELECT FROM {users} u WHERE id = %s AND {not_deleted}").format(
            users=schema.users.identifier, not_deleted=schema.not_deleted("u")
        )
        async with self._database.operation("user_exists") as connection:
            return await (await connection.execute(query, [user_id])).fetchone() is not None

    async def not_to_enrol(self, user_ids: Sequence[UUID]) -> Collection[UUID]:
        """Look them up by their ids."""
        schema = self._database.schema
        query = sql.SQL(_NOT_TO_ENROL).format(users=schema.users.identifier, not_deleted=schema.not_deleted("u"))
        async with self._database.operation("not_to_enrol") as connection:
            return {row[0] for row in await (await connection.execute(query, {"users": list(user_ids)})).fetchall()}

    async def save_template(
        self,
        user_id: UUID,
        template: FaceEmbedding,
        *,
        photographs: int,
        image_refs: Sequence[str] = (),
        replace: bool = True,
    ) -> bool:
        """Set embedding and model together, and remember what that very template was made of."""
        schema = self._database.schema
        parts = {
            "users": schema.users.identifier,
            "is_anothers": sql.SQL(IS_ANOTHERS),
            "may_be_saved": sql.SQL(_MAY_BE_SAVED).format(not_deleted=schema.not_deleted("u")),
        }
        remember = sql.SQL(REMEMBER).format(what=sql.SQL(_SAVED))
        query = sql.SQL(_SAVE).format(**parts, fingerprint=fingerprint("u"), remember=remember)
        values = {
            "vector": _vector(template),
            "model": template.model,
            "user": user_id,
            "photographs": photographs,
            "image_refs": list(image_refs) or None,
            "replace": replace,
        }
        async with self._database.operation("save_template") as connection:
            if (await connection.execute(query, values)).rowcount == 1:
                return True
            why_not = await connection.execute(sql.SQL(_WHY_NOT_SAVED).format(**parts), values)
            is_anothers, may_be_saved = await why_not.fetchone() or (False, False)
        if is_anothers:
            raise GalleryNotReadyError(f"the gallery is not of {template.model} any more, or not yet")
        if may_be_saved:
            raise swallowed("save_template", schema.users)
        return False

    async def others(self, user_id: UUID, template: FaceEmbedding, *, limit: int) -> Others:
        """Compare with every template there is, index or not: an enroller has no right to read an index."""
        schema = self._database.schema
        search = besides(schema, Wanted(template.model, template.dimension, limit))
        count = sql.SQL(_COUNT).format(users=schema.users.identifier, condition=sql.SQL("u.id <> %(user)s"))
        values = {"probe": _vector(template), "model": template.model, "user": user_id}
        async with self._database.operation("others") as connection:
            rows = await (await connection.execute(search, values)).fetchall()
            number = _number(await (await connection.execute(count, values)).fetchone())
        return Others(number, _candidates(rows))


def _vector(embedding: FaceEmbedding) -> Vector:
    return Vector(np.asarray(embedding.vector, dtype=np.float32))


def _candidates(rows: Sequence[TupleRow]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(user, distance, photographs)
        for user, distance, photographs, *_ in rows
        if distance is not None and not math.isnan(distance)
    )


def _number(row: TupleRow | None) -> int:
    return int(row[0]) if row else 0
