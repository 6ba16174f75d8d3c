"""What the documentation tells people to run works as it is written, on real servers."""

import asyncio
import contextlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from opentelemetry.sdk.trace import TracerProvider

from infra.local_stack.process import free_port
from tests.e2e.command import clean_environment, facematch
from tests.e2e.world import World, eventually
from tests.unit.docs.pages import page

_USER = UUID("11111111-1111-1111-1111-111111111111")
_PHOTO = UUID("22222222-2222-2222-2222-222222222222")
_NAMED = "SELECT f.photo_id, m.user_id FROM face_matches m JOIN photo_faces f ON f.id = m.photo_face_id"
_ANOTHER_FACE_ROW = """
INSERT INTO photo_faces (id, photo_id, face_index, embedding, embedding_model, bbox, created_at)
SELECT gen_random_uuid(), %s, %s, embedding, %s, bbox, created_at FROM photo_faces LIMIT 1
"""
_DECIDED = """
INSERT INTO facematch.outcomes (stream_seq, stored_at, outcome, reason, distance, threshold, gallery_size, embedder,
    worker, occurred_at)
SELECT 900 + n, now(), 'skipped', 'no_match', distance, 0.0581, 9, 'dlib@2', 'worker-a', now()
  FROM (VALUES (1, 0.0047), (2, 0.06), (3, 0.5)) AS decided (n, distance)
"""
"""Refused by the margin, by a hair, and by far."""
_ALREADY_MATCHED = """
INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, reason, embedder, worker, occurred_at)
VALUES (900, now(), %s, 'skipped', 'already_matched', 'dlib@2', 'worker-a', now())
"""
_TEMPLATE_OF_FACE = """
INSERT INTO users (id, face_embedding, face_embedding_model) SELECT %s, embedding, embedding_model FROM photo_faces
"""
_PRELUDE = """
set -eu
trap 'kill $(jobs -p); wait' EXIT
until_ready() { for _ in $(seq 600); do "$@" > /dev/null 2>&1 && return; sleep 0.1; done; echo "in vain: $*"; exit 1; }
"""


def test_the_tutorial_leads_to_a_match_and_to_a_stranger(tmp_path: Path) -> None:
    """Its blocks, run in their order, end as the lesson says; servers and worker run beside, as in other terminals."""
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    script = [_PRELUDE]
    for code in page("docs/tutorial/first-match.md").code("bash"):
        if code.startswith("make setup"):
            continue  # this very test runs in what it makes
        if "infra.local_stack" in code:
            script += [
                f"({code.replace('.venv/bin/python', 'exec .venv/bin/python')}) &",
                "until_ready test -s .cache/servers.env",
            ]
        elif "facematch worker" in code:
            script += [f"({code.replace('.venv/bin/facematch', 'exec .venv/bin/facematch')}) &"]
        elif "facematch show" in code:
            script += [f"until_ready {code}", code]
        else:
            script += [code]
    environment = clean_environment() | {"FACEMATCH_HEALTH_ADDRESS": f"127.0.0.1:{free_port()}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.strip("│ ").split(" │ ") for line in done.stdout.splitlines() if line.startswith("│")]
    told = [(name.strip(), value[0].strip()) for name, *value in said if value]
    assert [value for name, value in told if name in {"outcome", "reason"}] == ["matched", "skipped", "no_match"]
    assert ("user id", str(_USER)) in told


async def test_an_application_publishes_and_follows_as_the_guide_says(world: World, photographs: Any) -> None:
    """The guide's code asks once, in the application's trace, and tags the photo once though the event comes again."""
    guide: dict[str, Any] = {}
    for code in page("docs/how-to/plug-into-an-app.md").code("python"):
        exec(compile(code, "plug-into-an-app.md", "exec"), guide)  # noqa: S102 - our own page
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    world.sql("CREATE TABLE photo_tags (match_id uuid PRIMARY KEY, photo_id uuid NOT NULL, user_id uuid NOT NULL)")
    database = await psycopg.AsyncConnection.connect(world.environment["FACEMATCH_DATABASE_URL"], autocommit=True)
    following = asyncio.create_task(guide["follow_matches"](world.js, database))
    try:
        with world.worker() as worker, TracerProvider().get_tracer("app").start_as_current_span("request") as span:
            assert [await guide["request_match"](world.js, photo, "obama2.jpg") for _ in range(2)] == [True, False]
            [event] = await world.outcome_of(photo)
            [stored] = await world.stored("PHOTO_FACES_RESULTS")
            await world.js.publish(stored.subject, stored.data)
            await eventually(_consumed(world), lambda events: events == 2, "both events, followed")
            [line] = [line for line in worker.lines() if line.get("event") == "job"]
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await database.close()
    assert world.sql("SELECT * FROM photo_tags") == [(UUID(event["match_id"]), photo, user)]
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def _consumed(world: World) -> Any:
    async def look() -> int:
        return int((await world.js.consumer_info("PHOTO_FACES_RESULTS", "photo-tags")).ack_floor.stream_seq)

    return look


async def test_dead_letters_are_handled_as_the_guide_says(world: World) -> None:
    """Each of its commands runs: letters are listed and shown, sent again as new jobs, and thrown away."""
    [see, send, throw] = [code.splitlines() for code in page("docs/how-to/handle-dead-letters.md").code("bash")]
    photo = world.add_photo()
    body = f'{{"photo_id": "{photo}", "image_ref": "a.jpg"}}'.encode()
    for letter, reason in ((body, "storage_unavailable"), (body, "internal_error"), (b"no job", "malformed_payload")):
        await world.js.publish("photo_faces.single.dead", letter, headers={"Facematch-Reason": reason})
    told = "".join([await _followed(world, line) for line in see])
    assert ("1 storage_unavailable" in told, str(photo) in told, body.decode() in told) == (True, True, True)
    rehearsal, first, second = send
    assert "1 would be replayed" in await _followed(world, rehearsal)
    assert "1 replayed" in await _followed(world, first)
    assert "1 replayed" in await _followed(world, second.replace(" 1", " 2"))
    jobs = await world.stored("PHOTO_FACES")
    assert [job.data for job in jobs] == [body, body]
    assert {"Facematch-Replay-Of", "Nats-Msg-Id"} == set(jobs[0].headers)
    for line in throw:
        await _followed(world, line.replace("7d", "0s"))
    assert (await world.js.stream_info("PHOTO_FACES_DEAD")).state.messages == 0


async def _followed(world: World, line: str) -> str:
    """Do what a line of a guide says, which must end well, and return what it prints."""
    done = await facematch(world.environment, *shlex.split(line.removeprefix("facematch ")))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_nothing_of_a_deleted_person_stays(world: World, photographs: Any, tmp_path: Path) -> None:
    """A photo from before they were enrolled is found, shown and named; no template, face, match or ledger row is left.

    Nor are faces that an earlier embedder left. Others keep everything, and rows that no job has filled yet stay.
    """
    guide = page("docs/how-to/delete-a-person.md")
    other, matched, others_photo = world.add_user(), world.add_photo(), world.add_photo()
    world.sql("INSERT INTO users (id) VALUES (%s)", _USER)
    world.sql("INSERT INTO photos (id) VALUES (%s)", _PHOTO)
    world.cli("enroll", str(other), str(photographs.path("biden")))
    photos = {"obama": _PHOTO, "obama2": matched, "biden": others_photo}
    with world.worker():
        for name, photo in photos.items():
            world.put(f"{name}.jpg", photographs.path(name).read_bytes())
            await world.publish({"photo_id": str(photo), "image_ref": f"{name}.jpg"})
            await world.outcome_of(photo)
            if photo == _PHOTO:
                world.cli("enroll", str(_USER), str(photographs.path("obama")))
        await world.settled()
    world.sql(_ANOTHER_FACE_ROW, world.add_photo(), 0, "an-earlier-embedder@1")
    empty = world.add_photo()
    world.sql("INSERT INTO photo_faces (id, photo_id, face_index) VALUES (gen_random_uuid(), %s, 0)", empty)
    look, show, delete, script = (code.strip() for code in guide.code("bash"))
    assert f"0.0000 on photo {_PHOTO}" in await _followed(world, look)
    await _followed(world, show.replace("seen.png", str(tmp_path / "seen.png")))
    deleted = json.loads(await _followed(world, delete))
    assert set(deleted["photo_ids"]) == {str(_PHOTO), str(matched)}
    assert not json.loads(await _followed(world, script))["template"]
    for statement in _statements(str(guide)):
        world.sql(statement)
    assert set(world.sql("SELECT photo_id FROM photo_faces")) == {(others_photo,), (empty,)}
    assert world.sql("SELECT user_id FROM face_matches") == [(other,)]
    assert world.sql("SELECT user_id FROM facematch.outcomes") == [(other,)]
    assert world.sql("SELECT id FROM users WHERE face_embedding IS NOT NULL") == [(other,)]


async def test_a_wrong_name_is_taken_back_as_the_guide_says(world: World, photographs: Any, tmp_path: Path) -> None:
    """The match goes and the ledger keeps it; nobody asks for the photo again, and who does gets the same name."""
    guide = "docs/how-to/a-name-was-wrong.md"
    user = world.add_user()
    world.sql("INSERT INTO photos (id) VALUES (%s)", _PHOTO)
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    job = {"photo_id": str(_PHOTO), "image_ref": "obama2.jpg"}
    with world.worker():
        await world.publish(job)
        await world.settled()
        [look, *_] = page(guide).code("bash")
        assert str(user) in await _followed(world, look.strip().replace("seen.png", str(tmp_path / "seen.png")))
        [take_back, *_] = _statements(guide)
        world.sql(take_back)
        assert world.sql("SELECT user_id FROM face_matches") == []
        assert world.sql("SELECT user_id FROM facematch.outcomes") == [(user,)]
        found = json.loads(world.cli("reconcile", "--image-ref", "{id}.jpg", "--json").stdout)
        assert (found["answered"], found["published"]) == (1, 0)
        await world.publish(job)
        await world.settled()
    assert world.sql("SELECT user_id FROM face_matches") == [(user,)]


async def test_a_wrong_template_is_put_right_as_the_guide_says(world: World, photographs: Any) -> None:
    """Who has the same one is found; names given since then go, others stay, and the photo gets the right one."""
    guide = "docs/how-to/a-name-was-wrong.md"
    other, photo, earlier = world.add_user(), world.add_photo(), world.add_photo()
    world.sql("INSERT INTO users (id) VALUES (%s)", _USER)
    for each, name in ((earlier, "obama2"), (photo, "biden")):
        world.put(f"{each}.jpg", photographs.path(name).read_bytes())
    with world.worker():
        for portrait, each in (("obama", earlier), ("biden", photo)):
            world.cli("enroll", str(_USER), str(photographs.path(portrait)))
            for _ in range(2):
                await world.publish({"photo_id": str(each), "image_ref": f"{each}.jpg"})
                await world.settled()
        assert world.sql("SELECT count(*) FROM face_matches WHERE user_id = %s", _USER) == [(2,)]
        _, same, since, take_back = _statements(guide)
        copied = "face_embedding = u.face_embedding, face_embedding_model = u.face_embedding_model"
        world.sql(f"UPDATE users SET {copied} FROM users u WHERE u.id = %s AND users.id = %s", _USER, other)
        assert [set(users) for (users,) in world.sql(same)] == [{_USER, other}]
        [(enrolled_at,)] = world.sql(since)
        _, enrol, backfill = page(guide).code("bash")
        obama, biden = (str(photographs.path(name)) for name in ("obama", "biden"))
        await _followed(world, enrol.strip().replace("portrait.jpg another-day.jpg", obama))
        world.cli("enroll", str(other), biden)
        [(taken_back, *_)] = world.sql(take_back.replace("2026-11-20 09:00:00+00", enrolled_at.isoformat()))
        assert taken_back == photo
        for line in backfill.strip().splitlines():
            await _followed(world, line)
        await world.settled()
    named = {row[0]: row[1] for row in world.sql(_NAMED)}
    assert named == {earlier: _USER, photo: other}


async def test_every_question_in_sql_has_an_answer(world: World, photographs: Any) -> None:
    """The statements of the other pages run; the routine of the privacy page deletes faces without a match only."""
    photo, waiting = world.add_photo(), world.add_photo()
    world.put("biden.jpg", photographs.path("biden").read_bytes())
    with world.worker():
        await world.publish({"photo_id": str(photo), "image_ref": "biden.jpg"})
        await world.publish(b"no job")
        await world.settled()
    asked = [statement for statement in _statements("docs/how-to/answer-why.md") if statement.startswith("SELECT")]
    [user, faces, today, _near, unfinished, _attempts] = [world.sql(statement) for statement in asked]
    assert (user, faces) == ([], [])
    assert sorted(today) == [("skipped", "malformed_payload", 1), ("skipped", "no_enrolled_users", 1)]
    assert unfinished == [(waiting,)]
    world.sql(_ALREADY_MATCHED, photo)
    world.sql(_TEMPLATE_OF_FACE, _USER)
    [(_, distance, *decided)] = world.sql(asked[1].replace("33333333-3333-3333-3333-333333333333", str(photo)))
    assert (distance, decided) == (0, ["skipped", "no_enrolled_users", None, None]), "of the job that stored the face"
    world.sql(_DECIDED)
    assert [row[1] for row in world.sql(asked[3])] == [0.06]
    [statement] = _statements("docs/how-to/handle-dead-letters.md")
    assert [row[2] for row in world.sql(statement)] == ["malformed_payload"]
    statement, index = _statements("docs/explanation/privacy.md")
    world.sql(index)
    world.sql(statement)
    assert world.sql("SELECT count(*) FROM photo_faces") == [(1,)]
    world.sql("UPDATE photo_faces SET created_at = now() - interval '2 hours'")
    world.sql(statement)
    assert world.sql("SELECT count(*) FROM photo_faces") == [(0,)]


async def test_facematch_is_removed_as_the_guide_says(imageless_world: World) -> None:
    """Nothing of it stays in the database, the application's own tables do; it can be installed anew."""
    world = imageless_world
    user = world.add_user()
    world.sql(
        "UPDATE users SET face_embedding = array_fill(0.1::real, ARRAY[128])::vector, face_embedding_model = 'x@1'"
    )
    await _followed(world, "facematch index --model x@1")
    [drop] = [code for code in page("docs/how-to/remove-facematch.md").code("bash") if code.startswith("facematch")]
    await _followed(world, drop.strip())
    for statement in _statements("docs/how-to/remove-facematch.md"):
        if "facematch_worker" not in statement:  # roles are the whole server's, which other tests use
            world.sql(statement)
    assert world.sql("SELECT nspname FROM pg_namespace WHERE nspname = 'facematch'") == []
    assert world.sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert world.sql("SELECT * FROM users") == [(user,)]
    world.cli("migrate")


async def test_the_matches_of_a_bad_release_are_taken_back_as_the_guide_says(world: World, photographs: Any) -> None:
    """Those of the bad threshold go, and are looked at again; the others stay, and nobody is asked about them."""
    guide = page("docs/how-to/take-back-matches.md")
    survey, listed, count, delete, drop = guide.code("sql")
    user = world.add_user()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    photos = {name: world.add_photo() for name in ("obama2", "biden")}
    for name, photo in photos.items():
        world.put(f"{photo}.jpg", photographs.path(name).read_bytes())
    jobs = {name: {"photo_id": str(photo), "image_ref": f"{photo}.jpg"} for name, photo in photos.items()}
    with world.worker():
        await world.publish(jobs["obama2"])
        await world.settled()
    with world.worker(FACEMATCH_MATCH_MAX_DISTANCE="0.9"):
        await world.publish(jobs["biden"])
        await world.settled()
    assert sum(row[4] for row in world.sql(survey)) == 2
    world.sql(listed.replace("2026-11-20", "2000-01-01").replace("= 0.2", "= 0.9"))
    assert world.sql(count) == [(1,)]
    assert world.sql("SELECT photo_id FROM matches_taken_back") == [(photos["biden"],)]
    world.sql(delete)
    assert world.sql("SELECT deleted FROM matches_taken_back") == [(True,)]
    assert [row[0] for row in world.sql(_NAMED)] == [photos["obama2"]]
    rehearsal, again = guide.code("bash")[-1].strip().splitlines()
    told = json.loads((await facematch(world.environment, *shlex.split(rehearsal)[1:], "--json")).stdout)
    assert (told["due"], told["published"]) == (1, 0)
    with world.worker():
        await _followed(world, again)
        await world.settled()
    assert world.sql(_NAMED) == [(photos["obama2"], user)]
    newest = "SELECT reason FROM facematch.outcomes WHERE photo_id = %s ORDER BY occurred_at DESC LIMIT 1"
    assert world.sql(newest, photos["biden"]) == [("no_match",)]
    world.sql(drop)


async def test_new_users_are_enrolled_as_the_guide_says(world: World, photographs: Any, tmp_path: Path) -> None:
    """Those who agreed and have no template; who has withdrawn is not enrolled by a list from before."""
    guide = page("docs/how-to/keep-users-enrolled.md")
    columns, without_consent, constraint, view, withdraw = guide.code("sql")
    for statement in (*columns.split(";")[:-1], *constraint.split(";")[:-1], view):
        world.sql(statement)
    assert world.sql(without_consent) == [(0,)]
    other = world.add_user()
    world.sql("INSERT INTO users (id) VALUES (%s)", _USER)
    for user, portrait in ((_USER, "obama"), (other, "biden")):
        world.put(f"{portrait}.jpg", photographs.path(portrait).read_bytes())
        world.sql("UPDATE users SET portrait_key = %s WHERE id = %s", f"{portrait}.jpg", user)
    assert world.sql("TABLE users_to_enrol") == []
    world.sql("UPDATE users SET face_consent = true")
    list_new = shlex.split(guide.code("bash")[1])[5]
    listed = world.sql(list_new)
    assert {row[0] for row in listed} == {_USER, other}
    new = tmp_path / "new.csv"
    new.write_text("".join(f"{user},{key}\n" for user, key in listed))
    for statement in withdraw.split(";")[1:-2]:
        world.sql(statement)
    done = world.cli("enroll", "--from", str(new), "--strict", "--json", check=False)
    enrolled = {answer["user_id"]: answer["enrolled"] for answer in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, enrolled) == (1, {str(_USER): False, str(other): True})
    assert "template_needs_consent" in done.stdout
    assert world.sql(list_new) == []
    assert world.sql("SELECT id FROM users WHERE face_embedding IS NOT NULL") == [(other,)]


def _statements(path: str) -> list[str]:
    code = ";".join(page(path).code("sql"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]
