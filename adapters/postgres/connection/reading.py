"""Reading for somebody who looks: where the role may not, with the statements that let it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.tables.rights import current_role, missing_reading_grants
from domain.errors import DatabaseForbiddenError


@asynccontextmanager
async def reading(database: Database, name: str) -> AsyncIterator[Connection]:
    """Lend a connection for one named operation that reads.

    Raises:
        DatabaseForbiddenError: the role may not; the message has the statements for the owner.
        DatabaseUnavailableError: no answer in time, or a fault that passes.

    """
    try:
        async with database.operation(name) as connection:
            yield connection
    except DatabaseForbiddenError as error:
        schema = database.schema
        async with database.operation("look_for_rights") as connection:
            role = await current_role(connection)
            lacking = await missing_reading_grants(connection, schema.by_name, schema.vector_schema, role)
        if not lacking:
            raise
        advice = f"for a role that only reads, the tables' owner can run: {'; '.join(lacking)};"
        raise DatabaseForbiddenError(f"{error}: {advice}") from error
