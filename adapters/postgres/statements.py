"""SQL that is put together once for a schema, not for every job."""

from collections.abc import Callable

from psycopg import sql

from adapters.postgres.schema import Schema


class Statement:
    """A statement that names the application's tables: composed when the schema changes, else the same bytes."""

    def __init__(self, compose: Callable[[Schema], sql.Composed]) -> None:
        self._compose = compose
        self._made: tuple[Schema, bytes] | None = None

    def on(self, schema: Schema) -> bytes:
        """Return the statement for that schema."""
        if self._made is None or self._made[0] is not schema:
            self._made = schema, self._compose(schema).as_bytes()
        return self._made[1]
