"""Tables that somebody else keeps locked, as a migration of the application does: nobody's job can go on then."""

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from adapters.postgres.schema import Schema

_READ = ("AccessExclusiveLock", "ExclusiveLock")
_WRITTEN = (*_READ, "ShareRowExclusiveLock", "ShareLock")
_LOCKED = """
SELECT n.nspname || '.' || c.relname, held.mode, held.pid
  FROM pg_catalog.pg_locks held
  JOIN pg_catalog.pg_class c ON c.oid = held.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN (VALUES (%(photos)s, %(read)s::text[]), (%(users)s, %(read)s), (%(faces)s, %(written)s),
               (%(matches)s, %(written)s), ('facematch.outcomes', %(written)s)) used (name, modes)
    ON used.name = n.nspname || '.' || c.relname AND held.mode = ANY (used.modes)
 WHERE held.locktype = 'relation' AND held.granted
   AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND held.pid <> pg_backend_pid()
 ORDER BY c.relname, held.pid LIMIT 1
"""


async def foreign_lock(connection: AsyncConnection[TupleRow], schema: Schema) -> str | None:
    """Return what is said of a lock that keeps the service from reading or writing; None where there is none.

    The modes are those that conflict with what it takes itself: ROW SHARE on ``photos`` and ``users``, by the foreign
    keys, and ROW EXCLUSIVE on what it writes (PostgreSQL's manual, table 13.2). Every role may see all locks.
    """
    values = {
        "photos": str(schema.photos),
        "users": str(schema.users),
        "faces": str(schema.photo_faces),
        "matches": str(schema.face_matches),
        "read": list(_READ),
        "written": list(_WRITTEN),
    }
    row = await (await connection.execute(_LOCKED, values)).fetchone()
    return None if row is None else f"{row[0]} is locked by process {row[2]} ({row[1]})"
