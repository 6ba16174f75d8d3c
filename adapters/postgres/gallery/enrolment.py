"""Enrolment: a template takes its place in ``users``, and is compared with everybody else's."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.connection.errors import swallowed
from adapters.postgres.gallery.active_model import IS_ANOTHERS
from adapters.postgres.gallery.nearest import Wanted, candidates, counting, exact_except, number
from adapters.postgres.gallery.templates import REMEMBER, as_vector, fingerprint
from application.ports.gallery import Others
from domain.errors import GalleryNotReadyError
from domain.faces import FaceEmbedding

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
# By a hash: vectors would be sorted, and those that lie beside their rows fetched anew for each comparison.
_SAME = """
WITH hashed AS MATERIALIZED (
  SELECT u.id, pg_catalog.hash_array_extended(u.face_embedding::real[], 0) AS hash FROM {users} u
   WHERE u.face_embedding_model = %s AND u.face_embedding IS NOT NULL)
SELECT id, hash FROM hashed
 WHERE hash IN (SELECT hash FROM hashed GROUP BY hash HAVING count(*) > 1) ORDER BY id
"""
_SAME_SECONDS = 60.0  # every user is looked at
_LOOKS = 2
"""A user who was deleted and inserted again in between, or has just lost a template, is found by the second one."""
_SAVED = "SELECT id, %(photographs)s, fingerprint, %(image_refs)s::text[], %(image_digests)s::bytea[] FROM saved"


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
        image_digests: Sequence[bytes] = (),
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
            "vector": as_vector(template),
            "model": template.model,
            "user": user_id,
            "photographs": photographs,
            "image_refs": list(image_refs) or None,
            "image_digests": list(image_digests) or None,
            "replace": replace,
        }
        async with self._database.operation("save_template") as connection:
            for _ in range(_LOOKS):
                if (await connection.execute(query, values)).rowcount == 1:
                    return True
                why_not = await connection.execute(sql.SQL(_WHY_NOT_SAVED).format(**parts), values)
                is_anothers, may_be_saved = await why_not.fetchone() or (False, False)
                if is_anothers:
                    raise GalleryNotReadyError(
                        f"the gallery is not that of {template.model}: run `facematch reenroll switch`, or set "
                        "FACEMATCH_EMBEDDER"
                    )
                if not may_be_saved:
                    return False
        raise swallowed("save_template", schema.users)

    async def others(self, user_id: UUID, template: FaceEmbedding, *, limit: int) -> Others:
        """Compare with every template there is, index or not: an enroller has no right to read an index."""
        schema = self._database.schema
        search = exact_except(schema, Wanted(template.model, template.dimension, limit, all_comparable=True))
        count = counting(schema, sql.SQL("u.id <> %(user)s"))
        values = {"probe": as_vector(template), "model": template.model, "user": user_id}
        async with self._database.operation("others") as connection:
            rows = await (await connection.execute(search, values)).fetchall()
            others = number(await (await connection.execute(count, values)).fetchone())
        return Others(others, candidates(rows))

    async def same_templates(self, model: str) -> Mapping[UUID, UUID]:
        """Look at everybody once."""
        query = sql.SQL(_SAME).format(users=self._database.schema.users.identifier)
        async with self._database.operation("same_templates", seconds=_SAME_SECONDS) as connection:
            rows = await (await connection.execute(query, [model])).fetchall()
        alike: dict[int, list[UUID]] = defaultdict(list)
        for user, hashed in rows:
            alike[hashed].append(user)
        return {user: users[user == users[0]] for users in alike.values() for user in users}
