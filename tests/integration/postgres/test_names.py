"""What SQL calls is PostgreSQL's own, whatever anybody has made in a schema on the search path."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg

import adapters.postgres
from adapters.faiss_codes.codes import Codes
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.inspection import inspect_database
from adapters.postgres.migrate import migrate
from application.ports.face_pipeline import EmbedderInfo
from application.ports.search_index import EXACT_BELOW
from domain.calibration import Calibration
from tests.contract.ledger.jobs import MODEL, TEMPLATE
from tests.databases import make_index
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables

_SOURCES = Path(adapters.postgres.__path__[0])
_FUNCTIONS = """
SELECT string_agg(DISTINCT proname, '|') FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^[a-z]' AND proname <> 'extract'
"""
"""EXTRACT (… FROM …) is grammar: no other function of that name is ever meant."""

_HOSTILE = """
CREATE FUNCTION trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'somebody else''s code was run'; END $$;
CREATE FUNCTION concat_ws(text, numeric, numeric) RETURNS text LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION unnest(uuid[]) RETURNS SETOF uuid LANGUAGE sql AS 'SELECT trap()::uuid';
CREATE FUNCTION hash_array_extended(real[], int) RETURNS text LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION collect(text, uuid) RETURNS text LANGUAGE sql AS 'SELECT trap()';
CREATE AGGREGATE array_agg(uuid) (sfunc = collect, stype = text, initcond = '');
CREATE AGGREGATE count(uuid) (sfunc = collect, stype = text, initcond = '');
CREATE FUNCTION compute(float8, int) RETURNS float8 LANGUAGE sql AS 'SELECT trap()::float8';
CREATE FUNCTION compare(float8, int) RETURNS bool LANGUAGE sql AS 'SELECT trap()::bool';
CREATE FUNCTION compare(float8, numeric) RETURNS bool LANGUAGE sql AS 'SELECT trap()::bool';
CREATE OPERATOR + (leftarg = float8, rightarg = int, function = compute);
CREATE OPERATOR > (leftarg = float8, rightarg = int, function = compare);
CREATE OPERATOR >= (leftarg = float8, rightarg = numeric, function = compare);
"""
EMBEDDER = EmbedderInfo(id=MODEL, dimension=4, licence="-", description="-", calibration=Calibration(((0.01, 0.1),)))


def sql_of(path: Path) -> Iterator[str]:
    """Yield every text of a file that may be SQL: all but what tells people of the code."""
    if path.suffix == ".sql":
        yield path.read_text()
        return
    for node in ast.walk(ast.parse(path.read_text())):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and not isinstance(node, ast.Expr):
                yield child.value


def test_every_function_is_named_in_full(admin: psycopg.Connection) -> None:
    """Else one in a schema on the path whose arguments fit better would run, with the rights of worker or owner.

    Without arguments none fits better; and FROM unnest of several arrays is grammar, too.
    """
    [(names,)] = admin.execute(_FUNCTIONS).fetchall()
    call = re.compile(rf"(?<![\w.])({names})\((?![)*])(?!(?<=unnest\()\S+,)")
    found = [
        f"{path.relative_to(_SOURCES)}: {text[match.start() : match.end() + 30].strip()}"
        for path in sorted(_SOURCES.rglob("*"))
        if path.suffix in {".py", ".sql"}
        for text in sql_of(path)
        for match in call.finditer(text)
    ]
    assert found == []


async def test_what_fits_the_arguments_better_is_not_run(admin: psycopg.Connection, database_url: str) -> None:
    """Not by a search, through an index or without one, nor by `facematch index` and `doctor`, as the owner."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD deleted_at timestamptz, ADD blocked boolean")
    admin.execute("ALTER TABLE users ALTER face_embedding TYPE vector(4)")
    tables = PostgresTables(database_url)
    user = tables.add_user(UUID(int=1), TEMPLATE)
    tables.close()
    admin.execute(_HOSTILE)
    await make_index(database_url, MODEL, dimension=4)
    async with opened(database_url) as database:
        for exact_below in (0, EXACT_BELOW):
            gallery = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=exact_below)
            await gallery.load(MODEL, 4)
            assert [found.user_id for found in (await gallery.search(TEMPLATE, limit=1)).nearest] == [user]
            await gallery.close()
        assert (await inspect_database(database, EMBEDDER)).enrolled == 1
