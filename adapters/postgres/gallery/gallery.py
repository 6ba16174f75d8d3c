"""The gallery: ``users.face_embedding`` by cosine distance, searched exactly or, among many users, through an index."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import attrs
import psycopg
from psycopg.rows import TupleRow

from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.connection.statements import Statement
from adapters.postgres.gallery.nearest import SPARE, Wanted, candidates, counting, exact, number, proposed
from adapters.postgres.gallery.recent import Recent, Renewed, Timed
from adapters.postgres.gallery.templates import as_vector
from adapters.postgres.search_index.feed import GalleryFeed
from adapters.postgres.search_index.following import Follower, MakeCodes, Report
from adapters.postgres.search_index.standing import look_at_index
from application.ports.clock import Clock
from application.ports.gallery import Neighbours
from application.ports.search_index import EXACT_BELOW, IndexState
from domain.calibration import LARGEST_GALLERY_WITH_COHORT
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError, GalleryTooSlowError
from domain.faces import FaceEmbedding

_RECENT_SECONDS = 10.0
_LONGEST_SECONDS = 60.0
"""Also where a lock, not the counting, took long: users may have become far more."""


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
        self._counts = Renewed(
            self._timed_count, clock=clock, least_seconds=_RECENT_SECONDS, most_seconds=_LONGEST_SECONDS
        )
        self._indexes = Recent(self._look_at_index, clock=clock, seconds=_RECENT_SECONDS)
        self._followers: dict[tuple[str, int], Follower] = {}
        self._exact: dict[Wanted, Statement] = {}
        self._proposed: dict[Wanted, Statement] = {}

    async def load(self, model: str, dimension: int) -> None:
        """Return when searches are as quick as they will be: an index that serves is loaded.

        One that cannot be read here is reported.

        Raises:
            DatabaseUnavailableError: no answer.

        """
        index = await self._serving(model, dimension)
        if index is not None:
            await self._follower(model, dimension).load(index)

    async def close(self) -> None:
        """Give up what is being loaded, counted or looked at."""
        await self._counts.close()
        await self._indexes.close()
        for follower in self._followers.values():
            await follower.close()

    async def search(self, probe: FaceEmbedding, *, limit: int) -> Neighbours:
        """Return the nearest, but for rows whose distance is not a number, and count who are so few that it matters.

        Where too few are found among those proposed, as when the index was dropped a moment ago, everybody is compared
        with after all; once more without those who took others' places, where too few are found among everybody.
        """
        size = await self.size(probe.model)
        are_few = size <= LARGEST_GALLERY_WITH_COHORT
        nearest = await self._proposed_nearest(probe, limit)
        if nearest is not None:
            return Neighbours(nearest, await self._count(probe.model) if are_few else size)
        wanted = Wanted(probe.model, probe.dimension, limit, counted=are_few)
        rows = await self._search(self._searching_all(wanted), probe, {})
        [(*_, counted, _), *_] = rows
        size = counted if are_few else size
        if len(candidates(rows)) < limit < size - SPARE:
            wanted = attrs.evolve(wanted, counted=False, all_comparable=True)
            rows = await self._search(self._searching_all(wanted), probe, {})
        return Neighbours(candidates(rows), size)

    async def size(self, model: str) -> int:
        """Return a count that is renewed in the background: every 10 seconds, or so rarely that it is no burden.

        That is after a hundred times as long as it took, a minute at most. None is served that is twice as old.
        """
        return await self._counts.get(model)

    async def is_slow(self, model: str, dimension: int) -> bool:
        """Tell whether users are many and have no index that serves; the answer may be as old as :meth:`size`."""
        index = await self._indexes.get(model)
        return not (index and index.serves(dimension)) and await self.size(model) >= self._exact_below

    async def _proposed_nearest(self, probe: FaceEmbedding, limit: int) -> tuple[Candidate, ...] | None:
        """Return whom the index finds; None where it does not serve, or finds too few."""
        index = await self._serving(probe.model, probe.dimension)
        if index is None:
            return None
        proposal = await self._follower(probe.model, probe.dimension).propose(probe.vector, index)
        if proposal is None:
            return None
        whom = {"users": proposal.users, **attrs.asdict(proposal.since)}
        searching = self._searching_proposed(Wanted(probe.model, probe.dimension, limit))
        nearest = candidates(await self._search(searching, probe, whom))
        return nearest if len(nearest) == limit else None

    def _searching_all(self, wanted: Wanted) -> Statement:
        return self._exact.setdefault(wanted, Statement(lambda schema: exact(schema, wanted)))

    def _searching_proposed(self, wanted: Wanted) -> Statement:
        return self._proposed.setdefault(wanted, Statement(lambda schema: proposed(schema, wanted)))

    async def _search(
        self, statement: Statement, probe: FaceEmbedding, whom: Mapping[str, object]
    ) -> Sequence[TupleRow]:
        values = {"probe": as_vector(probe), "model": probe.model, **whom}
        query = statement.on(self._database.schema)
        async with self._searching("nearest") as connection:
            rows = await (await connection.execute(query, values)).fetchall()
        [(*_, is_ready), *_] = rows
        if not is_ready:
            raise GalleryNotReadyError(
                f"the gallery is not that of {probe.model}: run `facematch reenroll switch`, or set FACEMATCH_EMBEDDER"
            )
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
        return (await self._timed_count(model)).answer

    async def _timed_count(self, model: str) -> Timed[int]:
        """Count, and time the statement alone: to have waited for a connection is no reason to count more rarely."""
        schema = self._database.schema
        query = counting(schema, schema.candidate_condition("u"))
        async with self._searching("count") as connection:
            began = self._clock.monotonic()
            users = number(await (await connection.execute(query, {"model": model})).fetchone())
            return Timed(users, self._clock.monotonic() - began)
