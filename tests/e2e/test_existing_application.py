"""The service on a database that an application made before it knew of facematch."""

import json
from typing import Any
from uuid import UUID, uuid4

from tests.e2e.forked import run_forked
from tests.e2e.world import World

_APPLICATION = """
CREATE SCHEMA app;
CREATE EXTENSION vector;
CREATE TABLE app.users (
    id uuid PRIMARY KEY, email text NOT NULL, face_embedding vector({dimension}), deleted_at timestamptz,
    blocked boolean NOT NULL DEFAULT false
);
CREATE TABLE app.photos (id uuid PRIMARY KEY, owner_id uuid NOT NULL, taken_at timestamptz NOT NULL);
CREATE TABLE app.photo_faces (
    id uuid PRIMARY KEY, photo_id uuid REFERENCES app.photos ON DELETE CASCADE, face_index int,
    embedding vector({dimension}), bbox text, created_at timestamptz, UNIQUE (photo_id, face_index)
);
CREATE TABLE app.face_matches (
    id uuid PRIMARY KEY, photo_face_id uuid REFERENCES app.photo_faces ON DELETE CASCADE,
    user_id uuid REFERENCES app.users ON DELETE CASCADE, confidence double precision, created_at timestamptz
);
"""


def _made_by_an_application(world: World, dimension: int) -> None:
    for statement in _APPLICATION.format(dimension=dimension).split(";"):
        if statement.strip():
            world.sql(statement)
    database = world.sql("SELECT quote_ident(current_database())")[0][0]
    world.sql(f"ALTER DATABASE {database} SET search_path = app, public")
    world.prepare()


def _add(world: World) -> tuple[UUID, UUID]:
    user, photo = uuid4(), uuid4()
    world.sql("INSERT INTO users (id, email) VALUES (%s, 'someone@example.org')", user)
    world.sql("INSERT INTO photos (id, owner_id, taken_at) VALUES (%s, %s, now())", photo, user)
    return user, photo


async def test_the_tables_of_an_application_are_used_as_they_are(bare_world: World, photographs: Any) -> None:
    """Typed vectors, a box as text, columns of its own and a schema of its own: all are kept and filled."""
    world = bare_world
    _made_by_an_application(world, 128)
    world.cli("migrate")
    user, photo = _add(world)
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("application.jpg", photographs.path("obama2").read_bytes())
    with world.worker():
        await world.publish({"photo_id": str(photo), "image_ref": "minio://images/application.jpg"})
        [event] = await world.outcome_of(photo)
    assert (event["outcome"], event["user_id"]) == ("matched", str(user))
    [(face_id, box, model)] = world.sql("SELECT id, bbox, embedding_model FROM app.photo_faces")
    assert str(face_id) == event["photo_face_id"]
    assert json.loads(box) == event["bbox"]
    assert model == event["embedder"]
    [(match_id, distance)] = world.sql("SELECT id, confidence FROM app.face_matches")
    assert (str(match_id), distance) == (event["match_id"], event["distance"])
    types = world.sql(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'embedding' "
        "AND attrelid = 'app.photo_faces'::regclass"
    )
    assert types == [("vector(128)",)]
    assert world.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_an_embedder_that_does_not_fit_the_column_stops_the_start(bare_world: World) -> None:
    """The worker names the column, its dimension and the embedder's, and ends with the code of a wrong setting."""
    _made_by_an_application(bare_world, 512)
    bare_world.environment["FACEMATCH_HEALTH_ADDRESS"] = "127.0.0.1:0"
    done = run_forked("worker", **bare_world.environment)
    assert done.returncode == 2
    assert "app.users.face_embedding is vector(512)" in done.stderr
    assert "128 dimensions" in done.stderr
    assert "FACEMATCH_EMBEDDER" in done.stderr
    assert "Traceback" not in done.stderr
