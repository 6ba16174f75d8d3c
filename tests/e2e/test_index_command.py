"""``facematch index`` as its operator uses it."""

import asyncio
import json
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector

from adapters.faiss_codes.codebook import with_shortlist
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
    assert "m@1: 6 users: no index needed below 5,000" in few.stderr
    built = run_cli("index", "--model", "m@1", "--json", **database)
    assert built.returncode == 0, built.stderr
    [report] = json.loads(built.stdout)
    assert report.pop("bytes") > 0
    numbers = {"users": 6, "indexed": 6, "missing": 0, "left_over": 0, "different": 0}
    exact = {"recall": None, "shortlist": None}
    assert report == {"embedder": "m@1", "serves": True, "examples": [], **numbers, **exact}
    with psycopg.connect(database["FACEMATCH_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DELETE FROM facematch.gallery WHERE user_id = (SELECT id FROM users LIMIT 1)")
    differs = run_cli("index", "--check", **database)
    assert differs.returncode == 1
    assert "m@1: not as they should be: " in differs.stdout
    mended = run_cli("index", **database)
    assert (mended.returncode, "not as they should be" in mended.stdout) == (0, False)
    dropped = run_cli("index", "--drop", **database)
    assert (dropped.returncode, dropped.stderr.strip()) == (0, "dropped the index of m@1")
    again = run_cli("index", "--drop", **database)
    assert (again.returncode, again.stderr.strip()) == (0, "There is no index: searches are exact")


def test_how_often_the_nearest_user_is_found_is_told(database: dict[str, str]) -> None:
    """After a build, which makes the shortlist long enough, and by a comparison, which fails where it is too short."""
    url = database["FACEMATCH_DATABASE_URL"]
    enrol_evenly(url, "m@2", users=6_000, dimension=512)
    settings = {**database, "OMP_NUM_THREADS": "1"}  # threads that wait for each other take the cores from other tests
    missing = run_cli("index", "--check", **settings)
    assert missing.returncode == 0
    assert "m@2: 6,000 users and no index: every search compares with all of them; run `facematch" in missing.stderr
    built = run_cli("index", "--json", **settings)
    assert built.returncode == 0, built.stderr
    assert "m@2: measuring" in built.stderr
    [report] = json.loads(built.stdout)
    assert report["shortlist"] > 1_024
    assert report["recall"] >= 0.998
    checked = run_cli("index", "--check", **settings)
    words = " ".join(checked.stdout.split())
    assert checked.returncode == 0
    assert f"m@2: finds the nearest user for {report['recall']:.1%} of strangers" in words
    assert f"with a shortlist of {report['shortlist']:,}" in words
    with psycopg.connect(url, autocommit=True) as connection:
        [learnt] = connection.execute("SELECT content FROM facematch.codebooks").fetchone() or (b"",)
        connection.execute("UPDATE facematch.codebooks SET content = %s", [with_shortlist(learnt, 1_024)])
    short = run_cli("index", "--check", **settings)
    assert short.returncode == 1
    assert "m@2: a longer shortlist finds more of them; run `facematch index`" in " ".join(short.stdout.split())


def enrol_evenly(url: str, model: str, *, users: int, dimension: int) -> None:
    """Insert users whose vectors vary as much along each axis, so that short codes tell little of them."""
    vectors = np.random.default_rng(1).standard_normal((users, dimension), dtype=np.float32)
    with psycopg.connect(url, autocommit=True) as connection:
        register_vector(connection)
        copy_users = "COPY users (id, face_embedding, face_embedding_model) FROM STDIN (FORMAT binary)"
        with connection.cursor() as cursor, cursor.copy(copy_users) as copy:
            copy.set_types(["uuid", "vector", "text"])
            for vector in vectors:
                copy.write_row((uuid4(), vector, model))


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
