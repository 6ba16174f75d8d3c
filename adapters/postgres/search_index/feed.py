"""What is in a model's partition of ``facematch.gallery``, for whoever keeps a copy; and what has changed since."""

from collections.abc import AsyncIterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.search_index.standing import CHANGED_SINCE, SERVER
from adapters.postgres.tables.catalogue import OWN_SCHEMA

_PAGE_BYTES: Final = 4 * 1024**2
_ID_BYTES: Final = 16
_HEAD_BYTES: Final = 4
"""Before the elements that pgvector sends of a ``halfvec``: how many there are, and nothing, as two 16-bit numbers."""
CODEBOOK: Final = "SELECT content FROM facematch.codebooks WHERE model = %s"
"""SQL for what a model's codes are made by."""
_MOMENT = f"SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text, {SERVER}"
_ROWS = """
SELECT pg_catalog.string_agg(pg_catalog.uuid_send(user_id) || {extension}.halfvec_send(embedding), '' ORDER BY user_id)
  FROM (SELECT user_id, embedding FROM {gallery}
         WHERE model = {model} AND {is_next} AND {is_wanted} ORDER BY user_id LIMIT {page}) page
"""


@attrs.frozen
class Moment:
    """Up to when something is known: all that transactions before the ``horizon`` wrote, on this ``server``.

    The horizon is the oldest transaction that had not ended. Another server, or one that has restarted, may have
    forgotten transactions and give their numbers to others.
    """

    horizon: str
    server: str


@attrs.frozen
class Rows:
    """Users' ids, uint8, [users, 16], and their unit vectors, of half precision as sent, [users, dimension]."""

    users: NDArray[np.uint8]
    vectors: NDArray[np.float16]


def _sent(dimension: int) -> np.dtype[np.void]:
    return np.dtype([("head", np.uint8, _HEAD_BYTES), ("vector", ">f2", dimension)])


def unit_vectors(sent: bytes, dimension: int) -> NDArray[np.float32]:
    """Return vectors that ``halfvec_send`` gave, one after the other: float32, [vectors, dimension]."""
    return np.asarray(np.frombuffer(sent, _sent(dimension))["vector"], dtype=np.float32)


class GalleryFeed:
    """Reads the gallery of one model, whose vectors have one dimension.

    Every method raises DatabaseUnavailableError where there is no answer.
    """

    def __init__(self, database: Database, model: str, dimension: int) -> None:
        self._database = database
        self.model = model
        self._record = np.dtype([("user", np.uint8, _ID_BYTES), ("sent", _sent(dimension))])

    async def codebook(self) -> bytes | None:
        """Return what codes are made by, None where nothing was learnt."""
        async with self._database.operation("read_codebook") as connection:
            row = await (await connection.execute(CODEBOOK, [self.model])).fetchone()
        return row[0] if row is not None else None

    async def moment(self) -> Moment:
        """Return the moment from which on everything older can be read."""
        async with self._database.operation("read_moment") as connection:
            row = await (await connection.execute(_MOMENT)).fetchone()
        if row is None:
            raise AssertionError("a SELECT without FROM has one row")
        return Moment(*row)

    async def rows(self, since: str | None = None) -> AsyncIterator[Rows]:
        """Yield all rows, or those of a horizon and later, page by page."""
        changed = sql.SQL(CHANGED_SINCE).format(horizon=sql.Literal(since))
        is_wanted = sql.SQL("true") if since is None else changed
        is_next = sql.Composed([sql.SQL("true")])
        page = count = _PAGE_BYTES // self._record.itemsize
        while count == page:
            content = await self._page(is_next, is_wanted, page)
            records = np.frombuffer(content, self._record)
            count = len(records)
            if count:
                last = sql.Literal(records["user"][-1].tobytes().hex())
                is_next = sql.SQL("user_id > {}::uuid").format(last)
                yield Rows(records["user"], records["sent"]["vector"])

    async def _page(self, is_next: sql.Composable, is_wanted: sql.Composable, page: int) -> bytes:
        query = sql.SQL(_ROWS).format(
            extension=sql.Identifier(self._database.schema.vector_schema),
            gallery=sql.Identifier(OWN_SCHEMA, "gallery"),
            model=sql.Literal(self.model),
            is_next=is_next,
            is_wanted=is_wanted,
            page=sql.Literal(page),
        )
        async with self._database.operation("read_gallery") as connection:
            row = await (await connection.execute(query, binary=True)).fetchone()
        return row[0] or b"" if row is not None else b""
