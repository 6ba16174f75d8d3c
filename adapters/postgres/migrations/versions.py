"""The migrations of the service's own schema: plain SQL files, applied once each in the order of their names."""

import hashlib
from importlib.resources import files

import attrs
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from domain.errors import FacematchError


@attrs.frozen
class Migration:
    """One file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells it from another file of that name."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """Return every migration of this version, in order."""
    entries = sorted(files("adapters.postgres.migrations").iterdir(), key=lambda entry: entry.name)
    return [Migration(e.name, e.read_text(encoding="utf-8")) for e in entries if e.name.endswith(".sql")]


async def pending(connection: AsyncConnection[TupleRow]) -> list[Migration]:
    """Return those that ``facematch.schema_migrations`` does not hold.

    Raises:
        FacematchError: one was applied in another form.

    """
    cursor = await connection.execute("SELECT name, checksum FROM facematch.schema_migrations")
    applied = {row[0]: row[1] for row in await cursor.fetchall()}
    for migration in shipped():
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise FacematchError(
                f"migration {migration.name} was applied in another form: this is another version's database"
            )
    return [migration for migration in shipped() if migration.name not in applied]
