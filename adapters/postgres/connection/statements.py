"""SQL that is put together once for a schema, not for every job; and names in it that hold a percent sign."""

from collections.abc import Callable
from typing import Self

from psycopg import AsyncCursor, sql
from psycopg.abc import AdaptContext, Params, QueryNoTemplate
from psycopg.rows import TupleRow

from adapters.postgres.tables.schema import Schema


class Statement:
    """A statement that names the application's tables: composed when the schema changes, else the same bytes.

    Its percent signs are doubled: always execute it with parameters.
    """

    def __init__(self, compose: Callable[[Schema], sql.Composed]) -> None:
        self._compose = compose
        self._made: tuple[Schema, bytes] | None = None

    def on(self, schema: Schema) -> bytes:
        """Return the statement for that schema."""
        if self._made is None or self._made[0] is not schema:
            self._made = schema, beside_parameters(self._compose(schema)).as_bytes()
        return self._made[1]


class Cursor(AsyncCursor[TupleRow]):
    """Takes no percent sign in a name or a literal for a parameter's place."""

    async def execute(  # type: ignore[override] # not a template string's, which needs no doubling
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        """Execute the statement."""
        if params is not None and isinstance(query, sql.Composed):
            query = beside_parameters(query)
        return await super().execute(query, params, prepare=prepare, binary=binary)


def beside_parameters(query: sql.Composed) -> sql.Composed:
    """Return the statement with the percent signs of its names and literals doubled, as the driver wants them."""
    return sql.Composed([_doubled(part) for part in query])


def _doubled(part: sql.Composable) -> sql.Composable:
    if isinstance(part, sql.Composed):
        return beside_parameters(part)
    return _Doubled(part) if isinstance(part, sql.Identifier | sql.Literal) else part


class _Doubled(sql.Composable):
    _obj: sql.Composable

    def as_bytes(self, context: AdaptContext | None = None) -> bytes:
        return self._obj.as_bytes(context).replace(b"%", b"%%")
