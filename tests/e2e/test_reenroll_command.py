"""``facematch reenroll``: the embedder changes, and nobody is forgotten."""

import asyncio
import json
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from adapters.vision import registry
from tests.e2e.command import FACEMATCH, Done, clean_environment, run_cli
from tests.e2e.world import WorkerProcess, World, eventually


def by(world: World, embedder: str, *arguments: str) -> Done:
    """Run ``facematch reenroll`` with another embedder than the workers may have."""
    return run_cli("reenroll", *arguments, **world.environment, FACEMATCH_EMBEDDER=embedder)


async def named_on(world: World, key: str) -> tuple[str | None, str]:
    """Publish a job for a new photo; return who was named on it, and by which embedder."""
    photo = world.add_photo()
    await world.publish({"photo_id": str(photo), "image_ref": key})
    [event] = await world.outcome_of(photo)
    return event["user_id"], event["embedder"].partition("@")[0]


async def waits_for_the_gallery(worker: WorkerProcess) -> None:
    """Return when a worker says that the gallery is not its embedder's."""
    await eventually(worker.not_ready, lambda reasons: "gallery" in reasons, "a worker that waits for the gallery")


async def test_the_embedder_changes_and_changes_back_and_nobody_is_forgotten(
    world: World, photographs: Any, tmp_path: Path
) -> None:
    """Workers of the old embedder name people until those of the new one do, in whichever order they are rolled out."""
    obama, biden = world.add_user(), world.add_user()
    for name, key in (("obama", "portraits/o.jpg"), ("obama2", "party.jpg"), ("biden", "portraits/b.jpg")):
        world.put(key, photographs.path(name).read_bytes())
    world.cli("enroll", str(obama), "minio://images/portraits/o.jpg")
    world.cli("enroll", str(biden), str(photographs.path("biden")))
    listed = tmp_path / "portraits.csv"
    listed.write_text(f"{biden},portraits/b.jpg\r\n", encoding="utf-8")

    with world.worker(FACEMATCH_EMBEDDER="dlib") as old:
        assert await named_on(world, "party.jpg") == (str(obama), "dlib")
        first = by(world, "mediapipe", "prepare")
        assert (first.returncode, first.stdout) == (
            1,
            f"{biden}: it is not known of which photographs the template was made\n",
        )
        assert first.stderr == "1 user prepared with mediapipe@2; 1 user could not be.\n"
        early = by(world, "mediapipe", "switch")
        assert early.returncode == 1
        assert "Nothing was switched: users of other embedders without a template of mediapipe@" in early.stderr
        second = by(world, "mediapipe", "prepare", "--from", str(listed), "--json")
        assert (second.returncode, json.loads(second.stdout)) == (
            0,
            {"user_id": str(biden), "prepared": True, "photographs": 1, "problems": [], "warnings": []},
        )
        with world.starting_worker(FACEMATCH_EMBEDDER="mediapipe") as new:
            await waits_for_the_gallery(new)
            assert await named_on(world, "party.jpg") == (str(obama), "dlib")
            switched = by(world, "mediapipe", "switch", "--json")
            assert switched.returncode == 0, switched.stderr
            assert (json.loads(switched.stdout)["switched"], json.loads(switched.stdout)["left_behind"]) == (2, 0)
            new.wait_ready()
            naming = asyncio.gather(*(named_on(world, "party.jpg") for _ in range(8)))
            await waits_for_the_gallery(old)
            assert old.stop() == 0
            assert await naming == [(str(obama), "mediapipe")] * 8

    with world.worker(FACEMATCH_EMBEDDER="mediapipe"):
        refused = run_cli("enroll", str(obama), "party.jpg", **world.environment, FACEMATCH_EMBEDDER="dlib")
        assert (refused.returncode, "users were switched to mediapipe@" in refused.stderr) == (1, True)
        back = by(world, "dlib", "prepare")
        assert (back.returncode, back.stdout) == (0, "")
        assert await named_on(world, "party.jpg") == (str(obama), "mediapipe")
    assert by(world, "dlib", "switch").stdout.startswith("2 users switched to dlib@")
    with world.worker(FACEMATCH_EMBEDDER="dlib"):
        assert await named_on(world, "portraits/b.jpg") == (str(biden), "dlib")


async def test_who_cannot_be_prepared_may_be_left_behind(world: World, photographs: Any) -> None:
    """Each with what is wrong; what is prepared can be discarded instead."""
    fine, missing, other = world.add_user(), world.add_user(), world.add_user()
    world.put("fine.jpg", photographs.path("obama").read_bytes())
    for user in (fine, missing, other):
        world.put(f"{user}.jpg", photographs.path("obama").read_bytes())
        world.cli("enroll", str(user), f"{user}.jpg")
    world.s3.remove_object("images", f"{missing}.jpg")
    world.put(f"{other}.jpg", photographs.path("coffee").read_bytes())
    told = by(world, "mediapipe", "prepare")
    assert told.returncode == 1
    lines = dict(line.split(": ", 1) for line in told.stdout.splitlines())
    assert set(lines) == {str(missing), str(other)}
    assert f"minio://images/{missing}.jpg: " in lines[str(missing)]
    assert lines[str(other)] == f"minio://images/{other}.jpg: this is another photograph than that of the template"
    assert by(world, "mediapipe", "discard").stdout == "1 user had a template prepared; it is deleted.\n"
    assert json.loads(by(world, "mediapipe", "discard", "--json").stdout) == {"discarded": 0}
    assert by(world, "mediapipe", "prepare").returncode == 1
    partly = by(world, "mediapipe", "switch", "--partial")
    assert partly.returncode == 0
    assert partly.stdout.endswith(". 2 users kept another one, and will not be recognised.\n")
    models = dict(world.sql("SELECT id, face_embedding_model FROM users"))
    assert {user for user, model in models.items() if model.startswith("mediapipe@")} == {fine}


async def test_an_interrupted_switch_says_what_waits_for_it_and_goes_on(world: World) -> None:
    """Somebody is locked by the application, somebody left behind, and the operator loses patience."""
    users = moved, locked, behind = [world.add_user() for _ in range(3)]
    model, vector = registry.load("mediapipe").info.id, str([0.0] * 127 + [1.0])
    world.sql("UPDATE users SET face_embedding = %s, face_embedding_model = 'dlib@2'", vector)
    world.sql(
        "INSERT INTO facematch.prepared_templates (model, user_id, embedding, photographs, replaces) "
        "SELECT %s, id, face_embedding, 1, sha256(face_embedding::text::bytea) FROM users WHERE id <> %s",
        *(model, behind),
    )
    with psycopg.connect(world.environment["FACEMATCH_DATABASE_URL"]) as application:
        application.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [locked])
        switching = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            [FACEMATCH, "reenroll", "switch", "--partial"],
            env=clean_environment() | world.environment | {"FACEMATCH_EMBEDDER": "mediapipe"},
            stderr=subprocess.PIPE,
            text=True,
        )

        async def models() -> dict[UUID, str]:
            return dict(world.sql("SELECT id, face_embedding_model FROM users"))

        await eventually(models, lambda found: found[moved] == model, "a user who is switched")
        switching.send_signal(signal.SIGINT)
        _, told = await asyncio.to_thread(switching.communicate)
    assert switching.returncode == 130
    assert told == (
        "Users are half switched, and jobs wait until `facematch reenroll switch` has been run again.\n"
        "interrupted; run it again to do the rest\n"
    )
    strict = by(world, "mediapipe", "switch")
    assert strict.returncode == 1
    assert strict.stderr.startswith(
        "Users are half switched, and jobs wait for it: users of other embedders without a "
    )
    assert "users are being switched to mediapipe@" in by(world, "mediapipe", "discard").stderr
    done = by(world, "mediapipe", "switch", "--partial", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"embedder": model, "switched": 1, "left_behind": 1})
    assert await models() == dict(zip(users, (model, model, "dlib@2"), strict=True))


async def test_whom_the_application_does_not_let_change_is_named(world: World) -> None:
    """The others are switched; the operator mends it, or leaves them behind. What gives no reason is hinted at."""
    fine, archived = world.add_user(), world.add_user()
    model, vector = registry.load("mediapipe").info.id, str([0.0] * 127 + [1.0])
    world.sql("UPDATE users SET face_embedding = %s, face_embedding_model = 'dlib@2'", vector)
    world.sql(
        "INSERT INTO facematch.prepared_templates (model, user_id, embedding, photographs, replaces) "
        "SELECT %s, id, face_embedding, 1, sha256(face_embedding::text::bytea) FROM users",
        model,
    )
    world.sql("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    world.sql("CREATE TRIGGER swallows BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION swallow()")
    swallowed = by(world, "mediapipe", "switch")
    told = " ".join(swallowed.stderr.split())
    assert (swallowed.returncode, told.startswith("Nothing was switched: none of the first 2 users")) == (1, True)
    assert "Where no reason is given, other transactions lock the rows, or a trigger swallows the change." in told
    world.sql("DROP FUNCTION swallow CASCADE")
    rule = f"CHECK (id <> '{archived}' OR face_embedding_model = 'dlib@2')"
    world.sql(f"ALTER TABLE users ADD CONSTRAINT archived {rule}")
    strict = by(world, "mediapipe", "switch")
    assert strict.returncode == 1
    waiting, named, *why = strict.stderr.splitlines()
    assert waiting == "Users are half switched, and jobs wait until `facematch reenroll switch` has been run again."
    assert named.startswith(f"{archived}: database, switch_templates: refused: ")
    assert why[0].startswith("users could not be switched: 1 refused by the database")
    assert "no reason" not in " ".join(why)
    partly = by(world, "mediapipe", "switch", "--partial")
    assert (partly.returncode, partly.stdout) == (
        0,
        f"0 users switched to {model}. 1 user kept another one, and will not be recognised.\n",
    )
    assert world.sql("SELECT face_embedding_model FROM users WHERE id = %s", fine) == [(model,)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("user_id,image\n", "line 1: 'user_id' is no user's id, which is a UUID"),
        (f"{UUID(int=1)},a.jpg\n\n{UUID(int=2)}\n", "line 3: no photograph is named behind the user"),
        (f'{UUID(int=1)},"a.jpg\n', "line 1: unexpected end of data"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    """Before anything is looked at, with the line; as wrong usage."""
    listed = tmp_path / "list.csv"
    listed.write_text(content, encoding="utf-8")
    done = run_cli("reenroll", "prepare", "--from", str(listed))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{listed}, {problem}\n")


def test_what_could_not_even_begin_tells_of_nobody() -> None:
    """One line, which says why; that nobody was prepared goes without saying."""
    done = run_cli("reenroll", "prepare", FACEMATCH_DATABASE_URL="postgresql://127.0.0.1:1/app")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "database" in done.stderr
