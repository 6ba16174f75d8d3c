"""The application's photos, page by page, and where a photo's image is: a template over the columns of ``photos``."""

from collections.abc import Iterator
from datetime import datetime
from string import Formatter
from typing import Any, cast
from uuid import UUID

import attrs
import psycopg
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.tables.catalogue import OWN_SCHEMA, Table
from adapters.postgres.tables.rights import Right
from application.ports.photo_catalogue import CataloguedPhoto, CataloguePage, LastOutcome
from domain.errors import FacematchError

_FIRST = UUID(int=0)
_MOST_CHARACTERS = 2_000
"""What is longer is no reference, and need not come over the wire."""
_SECONDS = 120.0
"""What a page may take: its thousands of look-ups each wait for the disk where the tables are larger than memory."""
_TEXTUAL = ("bpchar", "citext", "int2", "int4", "int8", "name", "text", "uuid", "varchar")
_ESTIMATE = "EXPLAIN (FORMAT JSON) SELECT p.id FROM {photos} p"
# OFFSET 0 keeps each question a look-up along an index, once for each photo of the page. Made into joins, they are at
# the mercy of estimates: at the ends of a histogram the planner expects one row, and reads everything for each of many.
_UNMATCHED = """
WITH page AS MATERIALIZED (
    SELECT p.id, pg_catalog.left({image_ref}, %(most)s) AS image_ref
      FROM {photos} p WHERE p.id {beyond} %(after)s ORDER BY p.id LIMIT %(limit)s)
SELECT (SELECT count(*) FROM page), (SELECT id FROM page ORDER BY id DESC LIMIT 1), meant.id, meant.image_ref
  FROM (VALUES (1)) AS always
  LEFT JOIN (
    SELECT page.id, page.image_ref FROM page
     WHERE coalesce((SELECT (o.outcome = ANY (%(kinds)s) OR coalesce(o.reason = ANY (%(reasons)s), false))
                            AND o.recorded_at < coalesce(%(before)s::timestamptz, 'infinity')
                       FROM facematch.outcomes o WHERE o.photo_id = page.id
                      ORDER BY o.occurred_at DESC, o.stream_seq DESC LIMIT 1), %(none)s)
       AND NOT EXISTS (SELECT 1 FROM {faces} f JOIN {matches} m ON m.photo_face_id = f.id
                        WHERE f.photo_id = page.id OFFSET 0)) AS meant ON true
 ORDER BY meant.id
"""


class ImageRefTemplateError(FacematchError):
    """The template for references is none, or names columns that ``photos`` does not have."""


class CatalogueForbiddenError(FacematchError):
    """The role may not read what it takes; the message has the statements for the owner."""


@attrs.frozen
class ImageRefTemplate:
    """Text with names of columns in braces: ``{image_ref}`` or ``minio://archive/{id}.jpg``.

    ``parts`` are literals and names of columns in turn, each of them possibly missing.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, text: str) -> "ImageRefTemplate":
        """Return the template.

        Raises:
            ImageRefTemplateError: it says something else than names in braces, or no name at all.

        """
        try:
            text.encode()
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise ImageRefTemplateError(f"{text!r} is no template for references: {error}") from error
        for _, name, spec, conversion in parsed:
            if name == "" or spec or conversion:
                raise ImageRefTemplateError(f"{text!r} is no template for references: in braces stands a column's name")
        template = cls(tuple((literal, name) for literal, name, _, _ in parsed))
        if not template.columns:
            raise ImageRefTemplateError(f"{text!r} gives all photos the same image: it names no column in braces")
        return template

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name is not None))

    def expression(self, photos: Table) -> sql.Composed:
        """Return the SQL for a row ``p`` of the table; it is NULL where one of the columns is.

        Raises:
            ImageRefTemplateError: the table has no such column, or it is none that could be part of a reference.

        """
        for name in self.columns:
            if name not in photos.columns:
                there = ", ".join(sorted(photos.columns))
                raise ImageRefTemplateError(f"{photos} has no column {name}; it has {there}")
            if photos.columns[name].type not in _TEXTUAL:
                kind = photos.columns[name].type
                raise ImageRefTemplateError(f"{photos}.{name} is of type {kind}, which is no part of a reference")
        return sql.SQL(" || ").join(self._expressions())

    @property
    def values(self) -> dict[str, str]:
        """The parameters of the expression."""
        return {f"literal_{number}": literal for number, (literal, _) in enumerate(self.parts)}

    def _expressions(self) -> Iterator[sql.Composable]:
        for number, (literal, name) in enumerate(self.parts):
            if literal:
                yield sql.SQL("{}::text").format(sql.Placeholder(f"literal_{number}"))
            if name is not None:
                yield sql.SQL("{}::text").format(sql.Identifier("p", name))


class PostgresPhotoCatalogue:
    """Goes through ``photos`` along its primary key; each page is short and sees what is committed by then.

    Raises :class:`ImageRefTemplateError` where the template does not fit the table, of a database that is open.
    """

    def __init__(self, database: Database, image_ref: ImageRefTemplate) -> None:
        self._database = database
        self._image_ref = image_ref
        self._expression = image_ref.expression(database.schema.photos)

    async def estimate(self) -> int:
        """Return what the planner goes by: it knows the table's size, and when it was last analysed the rest."""
        query = sql.SQL(_ESTIMATE).format(photos=self._database.schema.photos.identifier)
        [(plan,)] = await self._rows("estimate", query, {})
        return int(plan[0]["Plan"]["Plan Rows"])

    async def now(self) -> datetime:
        """Return the database's time, which it records outcomes with."""
        [(now,)] = await self._rows("now", sql.SQL("SELECT now()"), {})
        return cast("datetime", now)

    async def unmatched(self, last_outcome: LastOutcome, *, after: UUID | None, limit: int) -> CataloguePage:
        """Ask in one statement, which is short and takes no lock that anybody could wait for."""
        rows = await self._rows("unmatched", self.query(after), self.values(last_outcome, after, limit))
        count, last, *_ = rows[0]
        photos = [CataloguedPhoto(row[2], row[3]) for row in rows if row[2] is not None]
        return CataloguePage(photos, count, last if count == limit else None)

    def query(self, after: UUID | None) -> sql.Composed:
        """Return the statement for the page after a photo, or the first."""
        schema = self._database.schema
        return sql.SQL(_UNMATCHED).format(
            photos=schema.photos.identifier,
            faces=schema.photo_faces.identifier,
            matches=schema.face_matches.identifier,
            image_ref=self._expression,
            beyond=sql.SQL(">=" if after is None else ">"),
        )

    def values(self, last_outcome: LastOutcome, after: UUID | None, limit: int) -> dict[str, object]:
        """Return the statement's parameters."""
        return {
            "after": after or _FIRST,
            "limit": limit,
            "most": _MOST_CHARACTERS,
            "kinds": [kind.value for kind in last_outcome.kinds],
            "reasons": [reason.value for reason in last_outcome.reasons],
            "none": last_outcome.none,
            "before": last_outcome.before,
            **self._image_ref.values,
        }

    async def _rows(
        self, name: str, query: sql.SQL | sql.Composed, parameters: dict[str, object]
    ) -> list[tuple[Any, ...]]:
        async with self._database.operation(name, seconds=_SECONDS) as connection:
            try:
                # a plan that is made once for all values would not know how short a page is
                return await (await connection.execute(query, parameters, prepare=False)).fetchall()
            except psycopg.errors.InsufficientPrivilege as error:
                statements = "; ".join(right.grant(connection.info.user) for right in self._rights())
                raise CatalogueForbiddenError(
                    f"the role may not read what it takes; the owner has to run: {statements};"
                ) from error

    def _rights(self) -> list[Right]:
        schema = self._database.schema
        return [
            Right("SELECT", schema.photos.schema, "photos", tuple(dict.fromkeys(("id", *self._image_ref.columns)))),
            Right("SELECT", schema.photo_faces.schema, "photo_faces", ("id", "photo_id")),
            Right("SELECT", schema.face_matches.schema, "face_matches", ("photo_face_id",)),
            Right("SELECT", OWN_SCHEMA, "outcomes", ("photo_id",), whole=True),
        ]
