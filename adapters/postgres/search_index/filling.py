"""Bringing a partition of ``facematch.gallery`` in step with ``users``, and telling whether it is."""

from collections.abc import Callable
from itertools import pairwise
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.search_index.parts import IndexParts
from application.ports.search_index import Difference

_PAGE = 5_000
_EXAMPLES = 10
_PAGED: dict[str, LiteralString] = {"users_page": "u.id", "gallery_page": "g.user_id"}
# All at once, in one read of users. Asked for one by one, each takes such a read where users was never analysed: the
# planner then believes that the model has fewer users than a page.
_ENDS_OF_PAGES = """
SELECT id FROM (SELECT u.id, row_number() OVER (ORDER BY u.id) AS number
                  FROM {users} u WHERE u.face_embedding_model = {model}) numbered
 WHERE pg_catalog.mod(number, {page}::bigint) = 0 ORDER BY id
"""
# Both tables are asked for the page's range, so that no plan reads them whole for each page.
# A page's rows are locked against change until it is copied, a few hundredths of a second, so that nothing older than
# what the trigger writes is written after it. Rows that somebody else has locked are left to a later pass: who never
# waits for one lock while it holds another takes part in no deadlock.
_COPY = """
WITH page AS MATERIALIZED (
  SELECT u.id, {unit} AS embedding FROM {users} u LEFT JOIN {partition} g ON g.user_id = u.id AND {gallery_page}
   WHERE {users_page} AND {fits} AND (g.user_id IS NULL OR g.embedding OPERATOR({extension}.<>) {unit})
   ORDER BY u.id FOR SHARE OF u SKIP LOCKED),
copied AS (
  INSERT INTO {partition} (model, user_id, embedding) SELECT {model}, id, embedding FROM page
  ON CONFLICT (user_id) DO UPDATE SET embedding = excluded.embedding, changed = excluded.changed)
SELECT count(*) FROM page
"""
_CLEAR = """
WITH left_over AS MATERIALIZED (
  SELECT g.user_id FROM {partition} g WHERE NOT EXISTS (SELECT FROM {users} u WHERE u.id = g.user_id AND {fits})
     FOR UPDATE OF g SKIP LOCKED)
DELETE FROM {partition} p USING left_over WHERE p.user_id = left_over.user_id
"""
_COMPARE = """
SELECT pg_catalog.count(t.id), pg_catalog.count(g.user_id),
       count(*) FILTER (WHERE g.user_id IS NULL), count(*) FILTER (WHERE t.id IS NULL),
       count(*) FILTER (WHERE g.embedding OPERATOR({extension}.<>) t.embedding),
       (pg_catalog.array_agg(coalesce(t.id, g.user_id)) FILTER (
          WHERE g.user_id IS NULL OR t.id IS NULL OR g.embedding OPERATOR({extension}.<>) t.embedding))[:{examples}]
  FROM (SELECT u.id, {unit} AS embedding FROM {users} u WHERE {fits}) t FULL JOIN {partition} g ON g.user_id = t.id
"""
# Asked of all galleries, because no worker has a right on a single partition.
_MISSING = """
SELECT count(*) FROM {users} u
 WHERE {fits} AND NOT EXISTS (SELECT FROM {gallery} g WHERE g.model = {model} AND g.user_id = u.id)
"""


async def fill(connection: AsyncConnection[TupleRow], parts: IndexParts, *, on_copied: Callable[[int], None]) -> None:
    """Copy what is missing or different, page by page, and delete what is left over; ``on_copied`` hears of rows."""
    ends_of_pages = parts.compose(_ENDS_OF_PAGES, page=sql.Literal(_PAGE))
    ends: list[UUID] = [row[0] for row in await (await connection.execute(ends_of_pages)).fetchall()]
    for after, last in pairwise([None, *ends, None]):
        page = {name: _within(column, after, last) for name, column in _PAGED.items()}
        [copied] = await (await connection.execute(_composed(_COPY, parts, **page))).fetchone() or (0,)
        on_copied(copied)
    await connection.execute(_composed(_CLEAR, parts))


async def compare(connection: AsyncConnection[TupleRow], parts: IndexParts) -> Difference:
    """Compare every row, as of one moment."""
    row = await (await connection.execute(_composed(_COMPARE, parts, examples=sql.Literal(_EXAMPLES)))).fetchone()
    if row is None:
        raise AssertionError("an aggregate has one row")
    users, indexed, missing, left_over, different, examples = row
    return Difference(users, indexed, missing, left_over, different, tuple(examples or ()))


async def count_missing(connection: AsyncConnection[TupleRow], parts: IndexParts) -> int:
    """Return how many users belong into the index and are not in it, as of one moment; any worker may ask."""
    [missing] = await (await connection.execute(_composed(_MISSING, parts))).fetchone() or (0,)
    return int(missing)


def _within(column: LiteralString, after: UUID | None, last: UUID | None) -> sql.Composed:
    """Return the SQL that is true for ids after one, up to another; None is no bound."""
    bounds = [(" AND {} > {}", after), (" AND {} <= {}", last)]
    conditions = [
        sql.SQL(template).format(sql.SQL(column), sql.Literal(bound)) for template, bound in bounds if bound is not None
    ]
    return sql.SQL("true") + sql.Composed(conditions)


def _composed(template: LiteralString, parts: IndexParts, **more: sql.Composable) -> sql.Composed:
    return parts.compose(template, fits=parts.fits("u"), unit=parts.unit("u"), **more)
