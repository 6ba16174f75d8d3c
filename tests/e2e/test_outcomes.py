"""Every row of the outcome table, by the real worker on real servers and real photographs."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from jsonschema import Draft202012Validator

from tests import pictures
from tests.e2e.world import World

EVENT_SCHEMA = {
    **json.loads(Path("docs/reference/schemas/result-event.json").read_text()),
    "additionalProperties": False,
}


async def test_every_outcome_that_lies_in_the_job(world: World, photographs: Any) -> None:
    """Each kind of job ends in its one outcome, with its event, its log line, its dead letter and exactly its rows."""
    obama = world.add_user()
    world.cli("enroll", str(obama), str(photographs.path("obama")))
    limits = {"FACEMATCH_IMAGE_MAX_BYTES": "4000000", "FACEMATCH_MATCH_MIN_FACE_PIXELS": "80"}

    contents = {
        "match.jpg": photographs.path("obama2").read_bytes(),
        "stranger.jpg": photographs.path("biden").read_bytes(),
        "group.jpg": pictures.group(photographs.path("obama"), photographs.path("biden")),
        "coffee.png": photographs.path("coffee").read_bytes(),
        "broken.jpg": photographs.path("obama2").read_bytes()[:20_000],
        "text.jpg": b"this is no picture",
        "large.bmp": pictures.noise(4_000_001),
        "small.jpg": pictures.shrunk_on_canvas(photographs.path("obama"), 0.25),
    }
    for key, content in contents.items():
        world.put(key, content)
    expected = {
        "match.jpg": ("matched", None),
        "stranger.jpg": ("skipped", "no_match"),
        "group.jpg": ("skipped", "multiple_faces"),
        "coffee.png": ("skipped", "no_face"),
        "broken.jpg": ("skipped", "unreadable_image"),
        "text.jpg": ("skipped", "unreadable_image"),
        "large.bmp": ("skipped", "image_too_large"),
        "small.jpg": ("skipped", "face_too_small"),
        "minio://images/nothing-here.jpg": ("skipped", "image_not_found"),
        "minio://private/match.jpg": ("skipped", "invalid_image_ref"),
        "": ("skipped", "missing_image_ref"),
    }
    with world.worker(**limits) as worker:
        photos = {ref: world.add_photo() for ref in expected}
        for ref, photo in photos.items():
            await world.publish({"photo_id": str(photo), "image_ref": ref, "job_id": str(uuid4())})
        for ref, photo in photos.items():
            [event] = await world.outcome_of(photo)
            assert (event["outcome"], event["reason"]) == expected[ref], (ref, event)

        crowd, unknown = world.add_photo(), uuid4()
        await world.publish({"photo_id": str(crowd), "image_ref": "match.jpg", "faces_detected": 2})
        await world.publish({"photo_id": str(unknown), "image_ref": "match.jpg"})
        await world.publish({"photo_id": str(photos["match.jpg"]).upper(), "image_ref": "match.jpg", "face_index": 4})
        malformed = await world.publish(b'{"photo_id": "no uuid", "face_index": 1.0}', {"X-Own": "kept"})
        assert [e["reason"] for e in await world.outcome_of(crowd)] == ["faces_detected_not_one"]
        assert [e["reason"] for e in await world.outcome_of(unknown)] == ["photo_not_found"]
        again = await world.outcome_of(photos["match.jpg"], count=2)
        assert [e["reason"] for e in again] == [None, "already_matched"]
        [refused] = await world.outcome_of(None)
        assert (refused["reason"], refused["photo_id"], refused["face_index"]) == ("malformed_payload", None, None)
        await world.settled()

    for event in await world.events():
        Draft202012Validator(EVENT_SCHEMA).validate(event)
    assert len(worker.job_lines()) == len(expected) + 4
    _check_rows(world, obama, photos)
    [letter] = await world.stored("PHOTO_FACES_DEAD")
    assert letter.data == b'{"photo_id": "no uuid", "face_index": 1.0}'
    assert letter.headers["X-Own"] == "kept"
    assert letter.headers["Facematch-Reason"] == "malformed_payload"
    assert letter.headers["Facematch-Stream-Seq"] == str(malformed)


def _check_rows(world: World, user: UUID, photos: dict[str, UUID]) -> None:
    matched, unknown = photos["match.jpg"], photos["stranger.jpg"]
    faces = world.sql("SELECT photo_id, face_index, embedding_model, bbox, vector_dims(embedding) FROM photo_faces")
    assert {row[0] for row in faces} == {matched, unknown}
    assert all(row[1] == 0 and row[2].startswith("dlib@") and row[4] == 128 for row in faces)
    assert all(set(row[3]) == {"x1", "y1", "x2", "y2"} for row in faces)
    matches = world.sql(
        "SELECT f.photo_id, m.user_id, m.confidence FROM face_matches m JOIN photo_faces f ON f.id = m.photo_face_id"
    )
    [(photo, named, distance)] = matches
    assert (photo, named) == (matched, user)
    assert 0 < distance < 0.1


async def test_a_change_of_embedder_forgets_nobody_and_confuses_nobody(world: World, photographs: Any) -> None:
    """Users of another model are no candidates; enrolled with the new one, they are found again."""
    user = world.add_user()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    world.environment["FACEMATCH_EMBEDDER"] = "mediapipe"
    with world.worker():
        before, after = world.add_photo(), world.add_photo()
        await world.publish({"photo_id": str(before), "image_ref": "obama2.jpg"})
        [event] = await world.outcome_of(before)
        assert event["reason"] == "no_enrolled_users"
        world.cli("enroll", str(user), "minio://images/obama2.jpg", str(photographs.path("obama")))
        await world.publish({"photo_id": str(after), "image_ref": "obama2.jpg"})
        [event] = await world.outcome_of(after)
        assert (event["outcome"], event["user_id"]) == ("matched", str(user))
        assert event["embedder"].startswith("mediapipe@")
    assert world.sql("SELECT count(*) FROM photo_faces WHERE photo_id = %s", before) == [(1,)]


async def test_deleted_and_blocked_users_are_not_named(world: World, photographs: Any) -> None:
    """Columns that the application added take users out of the search at once."""
    world.sql("ALTER TABLE users ADD COLUMN deleted_at timestamptz, ADD COLUMN blocked boolean")
    gone, blocked = world.add_user(), world.add_user()
    for user in (gone, blocked):
        world.cli("enroll", str(user), str(photographs.path("obama")))
    world.sql("UPDATE users SET deleted_at = now() WHERE id = %s", gone)
    world.sql("UPDATE users SET blocked = true WHERE id = %s", blocked)
    photo = world.add_photo()
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    with world.worker():
        await world.publish({"photo_id": str(photo), "image_ref": "obama2.jpg"})
        [event] = await world.outcome_of(photo)
    assert event["reason"] == "no_enrolled_users"


async def test_without_a_threshold_the_nearest_user_is_named(world: World, photographs: Any) -> None:
    """``FACEMATCH_MATCH_MAX_DISTANCE=none`` records the nearest user, however far, with a null threshold."""
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("biden.jpg", photographs.path("biden").read_bytes())
    with world.worker(FACEMATCH_MATCH_MAX_DISTANCE="none"):
        await world.publish({"photo_id": str(photo), "image_ref": "biden.jpg"})
        [event] = await world.outcome_of(photo)
    assert (event["outcome"], event["user_id"], event["threshold"]) == ("matched", str(user), None)
