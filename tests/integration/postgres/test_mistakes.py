"""Statements of our own that are wrong: nobody can put them right but us, and what they hold is told to nobody."""

from typing import LiteralString

import psycopg
import pytest

from adapters.postgres.connection.database import Database
from adapters.postgres.migrate import migrate
from tests.integration.postgres.use import opened

VECTOR = "[0.125,0.25]"


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT '[0.125,0.25]' ORDER", []),
        ("SELECT nextval('users'), %s::text", [VECTOR]),
        ("SELECT nextval('users'), %s::text, %s::text", ["in\nlines", f"as well\n{VECTOR}"]),
    ],
    ids=["statement", "parameter", "parameters"],
)
async def test_a_mistake_is_told_without_values(
    database_url: str, statement: LiteralString, parameters: list[str]
) -> None:
    """A command's traceback prints what the server says: also where that quotes parameters."""
    await migrate(database_url)
    async with opened(database_url) as database:
        with pytest.raises(psycopg.ProgrammingError) as mistake:
            await run(database, statement, parameters)
    assert "0.125" not in str(mistake.value)


async def run(database: Database, statement: LiteralString, parameters: list[str]) -> None:
    """Run a statement as an operation, on a server that quotes parameters in errors."""
    async with database.operation("mistake") as connection:
        await connection.execute("SET log_parameter_max_length_on_error = -1")
        await connection.execute(statement, parameters, prepare=False)
