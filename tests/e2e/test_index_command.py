"""``facematch index`` as its operator uses it."""

import asyncio
import json

import psycopg
import pytest

from adapters.postgres.migrate import migrate
from tests.e2e.command import run_cli

_ENROL = """
INSERT INTO users
SELECT gen_random_uuid(), (SELECT array_agg(random())::vector FROM generate_series(1, 4 + 0 * g)), 'm@1'
  FROM generate_series(1, 6) g
"""


@pytest.fixture
def database(database_url: str) -> dict[str, str]:
    """Return the settings of a database with six users."""
    asyncio.run(migrate(database_url))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_ENROL)
    return {"FACEMATCH_DATABASE_URL": database_url}


def test_an_index_is_built_compared_and_dropped(database: dict[str, str]) -> None:
    """A few users need none unless it is asked for; what differs makes a comparison fail, and building mends it."""
    few = run_cli("index", **database)
    assert (few.returncode, few.stdout) == (0, "")
    assert "m@1: 6 users need no index below 5,000" in few.stderr
    built = run_cli("index", "--model", "m@1", "--json", **database)
    assert built.returncode == 0, built.stderr
    [report] = json.loads(built.stdout)
    assert report.pop("bytes") > 0
    numbers = {"users": 6, "indexed": 6, "missing": 0, "left_over": 0, "different": 0}
    assert report == {"embedder": "m@1", "serves": True, "examples": [], **numbers}
    with psycopg.connect(database["FACEMATCH_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DELETE FROM facematch.gallery WHERE user_id = (SELECT id FROM users LIMIT 1)")
    differs = run_cli("index", "--check", **database)
    assert differs.returncode == 1
    assert "m@1: not as they should be: " in differs.stdout
    mended = run_cli("index", **database)
    assert (mended.returncode, "not as they should be" in mended.stdout) == (0, False)
    dropped = run_cli("index", "--drop", **database)
    assert (dropped.returncode, dropped.stderr.strip()) == (0, "dropped the index of m@1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--check", "--drop"), 2, "exclude each other"),
        (("--model", "nobody@1"), 1, "nobody is enrolled with nobody@1"),
    ],
)
def test_what_cannot_be_done_is_told(
    database: dict[str, str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    """In a sentence, with an exit code."""
    done = run_cli("index", *arguments, **database)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
