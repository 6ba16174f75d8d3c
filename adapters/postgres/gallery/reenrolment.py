"""Re-enrolment in PostgreSQL: templates are prepared in the service's own schema, and moved to ``users`` in batches."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncCursor, sql
from psycopg.rows import TupleRow

from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.gallery.templates import REMEMBER, as_vector, fingerprint
from application.ports.reenrolment import Outdated
from domain.errors import GalleryNotReadyError
from domain.faces import FaceEmbedding

_SECONDS = 600.0
"""What looks at everybody may take that long; a page is as quick as a job's statements."""
_OUTDATED = "u.face_embedding IS NOT NULL AND u.face_embedding_model IS DISTINCT FROM %(model)s AND {not_deleted}"
_COUNT = "SELECT count(*) FROM {users} u WHERE {outdated}"
# OFFSET 0 keeps both questions look-ups along a key, once for each user of the page: made into joins, they are at the
# mercy of estimates, and a table that has just been filled has none.
_PAGE = """
SELECT u.id, u.template, coalesce(t.image_refs, '{{}}'), coalesce(t.image_digests, '{{}}'), p.is_ready IS NOT NULL
  FROM (SELECT u.id, {fingerprint} AS template FROM {users} u
         WHERE {outdated} AND (%(after)s::uuid IS NULL OR u.id > %(after)s) ORDER BY u.id LIMIT %(limit)s) u
  LEFT JOIN LATERAL (
    SELECT t.image_refs, t.image_digests FROM facematch.templates t
     WHERE t.user_id = u.id AND t.fingerprint = u.template OFFSET 0) t ON true
  LEFT JOIN LATERAL (
    SELECT true AS is_ready FROM facematch.prepared_templates p
     WHERE p.model = %(model)s AND p.user_id = u.id AND p.replaces = u.template OFFSET 0) p ON true
 ORDER BY u.id
"""
_PREPARE = """
INSERT INTO facematch.prepared_templates (model, user_id, embedding, photographs, image_refs, image_digests, replaces)
SELECT %(model)s::text, u.id, %(vector)s, %(photographs)s::integer, %(image_refs)s::text[], %(image_digests)s::bytea[],
       %(replaces)s::bytea
  FROM {users} u
 WHERE u.id = %(user)s AND {outdated} AND {fingerprint} = %(replaces)s FOR SHARE
ON CONFLICT (model, user_id) DO UPDATE
   SET embedding = excluded.embedding, photographs = excluded.photographs, image_refs = excluded.image_refs,
       image_digests = excluded.image_digests, replaces = excluded.replaces, prepared_at = excluded.prepared_at
"""
# One at a time: what is prepared is not discarded between the look at it and the beginning of its switch.
_ONE_AT_A_TIME = "SELECT pg_catalog.pg_advisory_xact_lock(7163850421)"
_BEGIN = """
INSERT INTO facematch.active_model AS a (model)
SELECT %(model)s::text
 WHERE EXISTS (SELECT FROM facematch.active_model WHERE model = %(model)s)
    OR EXISTS (SELECT FROM facematch.prepared_templates WHERE model = %(model)s)
    OR EXISTS (SELECT FROM {users} u WHERE u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL)
    OR NOT EXISTS (SELECT FROM {users} u WHERE {outdated})
ON CONFLICT (only_row) DO UPDATE
   SET model = excluded.model, switched_at = CASE WHEN a.model = excluded.model THEN a.switched_at END
"""
_FINISH = """
UPDATE facematch.active_model SET switched_at = coalesce(switched_at, now()) WHERE model = %(model)s
"""
_DISCARD = "DELETE FROM facematch.prepared_templates"
_HALF_DONE = "SELECT model FROM facematch.active_model WHERE switched_at IS NULL"
_PREPARED = """
SELECT user_id FROM facematch.prepared_templates
 WHERE model = %(model)s AND (%(after)s::uuid IS NULL OR user_id > %(after)s) ORDER BY user_id LIMIT %(limit)s
"""
# Who never waits for one lock while it holds another takes part in no deadlock with the application.
_SWITCH = """
WITH ready AS MATERIALIZED (
    SELECT u.id FROM {users} u JOIN facematch.prepared_templates p ON p.model = %(model)s AND p.user_id = u.id
     WHERE u.id = ANY (%(users)s) AND {outdated} AND {fingerprint} = p.replaces
     ORDER BY u.id FOR NO KEY UPDATE OF u SKIP LOCKED),
moved AS (
    UPDATE {users} u SET face_embedding = p.embedding, face_embedding_model = p.model
      FROM facematch.prepared_templates p JOIN ready ON ready.id = p.user_id
     WHERE p.model = %(model)s AND u.id = p.user_id
    RETURNING u.id, {fingerprint} AS fingerprint, p.photographs, p.image_refs, p.image_digests),
remembered AS ({remember}),
done AS (DELETE FROM facematch.prepared_templates p USING moved m WHERE p.model = %(model)s AND p.user_id = m.id)
SELECT count(*) FROM moved
"""
_MOVED = "SELECT id, photographs, fingerprint, image_refs, image_digests FROM moved"
_TIDY = """
WITH page AS MATERIALIZED (
    SELECT model, user_id, replaces FROM facematch.prepared_templates
     WHERE (model, user_id) > (%(model)s, %(after)s) ORDER BY model, user_id LIMIT %(limit)s),
useless AS (
    DELETE FROM facematch.prepared_templates p USING page
     WHERE p.model = page.model AND p.user_id = page.user_id
       AND NOT EXISTS (SELECT FROM {users} u WHERE u.id = p.user_id AND u.face_embedding IS NOT NULL
                          AND u.face_embedding_model IS DISTINCT FROM p.model AND {not_deleted}
                          AND {fingerprint} = p.replaces))
SELECT model, user_id FROM page ORDER BY model DESC, user_id DESC LIMIT 1
"""
_TIDIED_AT_ONCE = 10_000
_BEFORE_ALL = "", UUID(int=0)


class PostgresReenrolment:
    """Users who are deleted, as far as the application says so, are left alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, model: str) -> int:
        """Count them now."""
        async with self._database.operation("count_outdated", seconds=_SECONDS) as connection:
            row = await (await connection.execute(self._composed(_COUNT), {"model": model})).fetchone()
        return int(row[0]) if row else 0

    async def outdated(self, model: str, *, after: UUID | None, limit: int) -> Sequence[Outdated]:
        """Go along the primary key of ``users``."""
        async with self._database.operation("outdated") as connection:
            rows = await (await self._page(connection, _PAGE, model, after, limit)).fetchall()
        return [
            Outdated(user, template, tuple(refs), tuple(digests), is_prepared)
            for user, template, refs, digests, is_prepared in rows
        ]

    async def prepare(self, user: Outdated, template: FaceEmbedding, *, photographs: int) -> bool:
        """Keep it in ``facematch.prepared_templates``; a change of the user that is on its way is waited for."""
        values = {
            "model": template.model,
            "user": user.user_id,
            "vector": as_vector(template),
            "photographs": photographs,
            "image_refs": list(user.image_refs) or None,
            "image_digests": list(user.image_digests) or None,
            "replaces": user.template,
        }
        async with self._database.operation("prepare_template") as connection:
            return (await connection.execute(self._composed(_PREPARE), values)).rowcount == 1

    async def prepared(self, model: str, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Go along the primary key."""
        async with self._database.operation("prepared") as connection:
            return [row[0] for row in await (await self._page(connection, _PREPARED, model, after, limit)).fetchall()]

    async def can_switch(self, model: str, user: UUID) -> bool:
        """Do it, and undo it."""
        async with self._database.transaction("rehearse_switch", _ONE_AT_A_TIME) as connection:
            moved = await self._move(connection, model, [user])
            await connection.rollback()
        return moved == 1

    async def half_done(self) -> str | None:
        """Look it up."""
        async with self._database.operation("look_for_switch") as connection:
            row = await (await connection.execute(_HALF_DONE)).fetchone()
        return row[0] if row else None

    async def begin(self, model: str) -> bool:
        """Write it down."""
        async with self._database.transaction("begin_switch", _ONE_AT_A_TIME, seconds=_SECONDS) as connection:
            return (await connection.execute(self._composed(_BEGIN), {"model": model})).rowcount == 1

    async def switch(self, model: str, users: Sequence[UUID]) -> int:
        """Move them in one statement, which is a transaction; who writes to such a user waits for it."""
        async with self._database.operation("switch_templates", seconds=_SECONDS) as connection:
            return await self._move(connection, model, users)

    async def finish(self, model: str) -> bool:
        """Write down when."""
        async with self._database.operation("finish_switch") as connection:
            return (await connection.execute(_FINISH, {"model": model})).rowcount == 1

    async def tidy(self) -> None:
        """Look for the rows' users, page by page."""
        last: tuple[str, UUID] | None = _BEFORE_ALL
        while last is not None:
            values = {"model": last[0], "after": last[1], "limit": _TIDIED_AT_ONCE}
            async with self._database.operation("tidy_prepared", seconds=_SECONDS) as connection:
                cursor = await connection.execute(self._composed(_TIDY), values, prepare=False)
                last = await cursor.fetchone()

    async def discard(self) -> int:
        """Empty the table."""
        async with self._database.transaction("discard_prepared", _ONE_AT_A_TIME, seconds=_SECONDS) as connection:
            half_done = await (await connection.execute(_HALF_DONE)).fetchone()
            if half_done is not None:
                raise GalleryNotReadyError(f"users are being switched to {half_done[0]}: finish that before")
            return (await connection.execute(_DISCARD)).rowcount

    async def _move(self, connection: Connection, model: str, users: Sequence[UUID]) -> int:
        values = {"model": model, "users": list(users)}
        row = await (await connection.execute(self._composed(_SWITCH), values, prepare=False)).fetchone()
        return int(row[0]) if row else 0

    async def _page(
        self, connection: Connection, statement: str, model: str, after: UUID | None, limit: int
    ) -> AsyncCursor[TupleRow]:
        """Run a statement, planned for this very page: a plan for any model looks at everybody each time."""
        values = {"model": model, "after": after, "limit": limit}
        return await connection.execute(self._composed(statement), values, prepare=False)

    def _composed(self, statement: str) -> sql.Composed:
        schema = self._database.schema
        not_deleted = schema.not_deleted("u")
        return sql.SQL(statement).format(
            users=schema.users.identifier,
            not_deleted=not_deleted,
            outdated=sql.SQL(_OUTDATED).format(not_deleted=not_deleted),
            fingerprint=fingerprint("u"),
            remember=sql.SQL(REMEMBER).format(what=sql.SQL(_MOVED)),
        )
