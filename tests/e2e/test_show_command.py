"""``facematch show``: what became of a photo's jobs, and the photograph with what was found on it."""

import json
from datetime import datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from PIL import ExifTags, Image

from tests.e2e.command import facematch
from tests.e2e.world import World
from tests.hostile.bombs import bombs, largest

_OUTCOME = """
INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, face_index, outcome, reason, photo_face_id, bbox,
    distance, threshold, gallery_size, runner_up_distance, embedder, worker, traceparent, occurred_at)
VALUES (%s, %s, %s, 0, 'skipped', %s, %s, %s, %s, 0.07, 3, 0.31, 'dlib@2', 'worker-a',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', now())
"""
_ATTEMPT = """
INSERT INTO facematch.attempts (stream_seq, stored_at, delivery, photo_id, reason, detail, worker, occurred_at)
VALUES (%s, '2026-05-01 12:00+00', %s, %s, %s, %s, 'worker-a', '2026-05-01 12:00:10+00')
"""
_FACE = """
INSERT INTO photo_faces (id, photo_id, face_index, embedding, embedding_model, created_at)
VALUES (%s, %s, 0, '[1, 0]', 'dlib@2', now())
"""
_TEMPLATE = "UPDATE users SET face_embedding = '[3, 4]', face_embedding_model = 'dlib@2' WHERE id = %s"
_BOX = {"x1": 100, "y1": 200, "x2": 300, "y2": 500}
_COLOUR = (0x9A, 0x67, 0x00)


def sideways() -> bytes:
    """Return a grey photograph of 400 x 800 pixels that lies on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = BytesIO()
    Image.new("RGB", (800, 400), "grey").save(content, "PNG", exif=exif)
    return content.getvalue()


async def ended(world: World, photo: UUID, key: str, reason: str, *, with_face: bool) -> None:
    """Submit a job, and record what a worker would have."""
    job = json.loads((await facematch(world.environment, "submit", str(photo), key, "--json")).stdout)
    face = (uuid4(), json.dumps(_BOX), 0.19) if with_face else (None, None, None)
    stored_at = datetime.fromisoformat(job["stored_at"])
    world.sql(_OUTCOME, job["stream_seq"], stored_at, photo, reason, *face)
    if with_face:
        world.sql(_FACE, face[0], photo)


async def test_the_picture_is_upright_with_box_and_label(world: World, tmp_path: Path) -> None:
    """Of the newest job that says something; the ledger's record is told as ever, and who is nearest now."""
    photo, user = world.add_photo(), world.add_user()
    world.sql(_TEMPLATE, user)
    key = world.put(f"{photo}.png", sideways())
    await ended(world, photo, key, "no_match", with_face=True)
    await ended(world, photo, key, "already_matched", with_face=False)
    target = tmp_path / "seen.PNG"
    target.write_text("an older one that others may read")
    target.chmod(0o644)
    told = await facematch(world.environment, "show", str(photo), "--image", str(target), "--json")
    assert told.returncode == 0, told.stderr
    newest, matching = json.loads(told.stdout)
    assert (newest["reason"], matching["reason"]) == ("already_matched", "no_match")
    assert (matching["distance"], matching["runner_up_distance"], matching["threshold"]) == (0.19, 0.31, 0.07)
    assert (matching["worker"], matching["trace_id"]) == ("worker-a", "0af7651916cd43dd8448eb211c80319c")
    near = {"user_id": str(user), "distance": pytest.approx(0.4)}
    assert (newest["nearest_now"], matching["nearest_now"]) == (None, [near])
    assert target.stat().st_mode & 0o777 == 0o600
    with Image.open(target) as sheet:
        left = (sheet.width - 400) // 2
        assert sheet.height > 800
        for x, y in ((100, 350), (300, 350), (200, 200), (200, 500)):
            assert sheet.getpixel((left + x, y)) == _COLOUR
        assert sheet.getpixel((left + 200, 350)) == (128, 128, 128)
        below = sheet.crop((0, 800, sheet.width, sheet.height))
        assert _COLOUR in {colour for _, colour in below.getcolors(1 << 16) or ()}
        assert not dict(sheet.getexif())
    page = (await facematch(world.environment, "show", str(photo))).stdout
    for word in ("no_match", "0.19", "0.07", "0.31", "worker-a", "dlib@2", "Nearest users now", str(user), "0.4"):
        assert word in page


async def test_a_picture_that_cannot_be_made_is_a_failure_after_the_answer(world: World, tmp_path: Path) -> None:
    """The image may be gone, or the job; a file of no known kind is wrong usage."""
    photo = world.add_photo()
    await ended(world, photo, "never-stored.png", "image_not_found", with_face=False)
    target = tmp_path / "seen.png"
    show = (world.environment, "show", str(photo), "--image")
    gone = await facematch(*show, str(target), "--json")
    assert (gone.returncode, json.loads(gone.stdout)[0]["reason"]) == (1, "image_not_found")
    await world.js.purge_stream("PHOTO_FACES")
    forgotten = await facematch(*show, str(target))
    assert (forgotten.returncode, "not kept" in forgotten.stderr) == (1, True)
    assert (await facematch(*show, "seen.doc")).returncode == 2
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("PNG of 400 megapixels", {}, "the image has more than the allowed 60000000 pixels"),
        (
            "WEBP of 59 megapixels",
            {"FACEMATCH_VISION_TIMEOUT_SECONDS": "0.2"},
            "the photograph was not read within 0.2 s",
        ),
    ],
)
async def test_a_bomb_ends_the_command_with_a_sentence(
    world: World, tmp_path: Path, name: str, settings: dict[str, str], words: str
) -> None:
    """What is refused, and what would take longer than a worker gives it: after the answer, as other failures do."""
    [bomb] = [case for case in (*bombs(), *largest()) if case.name == name]
    photo = world.add_photo()
    await ended(world, photo, world.put(f"{photo}.png", bomb.make()), "image_too_large", with_face=False)
    target = tmp_path / "seen.png"
    told = await facematch(world.environment | settings, "show", str(photo), "--image", str(target), "--json")
    assert (told.returncode, told.stderr) == (1, f"{words}\n")
    assert json.loads(told.stdout)[0]["reason"] == "image_too_large"
    assert not target.exists()


async def test_a_job_that_has_not_ended_is_told_with_its_attempts(world: World) -> None:
    """What came of each, and when; alone, where the exit code stays 1, and after a job that was heard of later."""
    photo = world.add_photo()
    world.sql(_ATTEMPT, 901, 1, photo, "storage_unavailable", "S3 answered 503 for [a].jpg")
    world.sql(_ATTEMPT, 901, 2, photo, None, "given back: the worker stops")
    alone = await facematch(world.environment, "show", str(photo), "--json")
    assert (alone.returncode, "has ended yet" in alone.stderr) == (1, True)
    [waiting] = json.loads(alone.stdout)
    assert (waiting["stream_seq"], waiting["outcome"], waiting["photo_id"]) == (901, None, str(photo))
    assert waiting["attempts"][0] == {
        "delivery": 1,
        "reason": "storage_unavailable",
        "detail": "S3 answered 503 for [a].jpg",
        "worker": "worker-a",
        "occurred_at": "2026-05-01T12:00:10+00:00",
    }
    page = (await facematch(world.environment | {"COLUMNS": "200"}, "show", str(photo))).stdout
    assert "no outcome is known" in page
    assert "2026-05-01 12:00:10 UTC, storage_unavailable: S3 answered 503 for [a].jpg" in page
    assert "2026-05-01 12:00:10 UTC, given back: the worker stops" in page
    await ended(world, photo, "any.png", "image_not_found", with_face=False)
    both = await facematch(world.environment, "show", str(photo), "--json")
    assert (both.returncode, [job["reason"] for job in json.loads(both.stdout)]) == (0, ["image_not_found", None])


async def test_what_strangers_wrote_is_shown_as_it_is(world: World) -> None:
    """A key may look like markup, like an emoji's code, or like what a terminal obeys."""
    photo = world.add_photo()
    await ended(world, photo, "any.png", "image_not_found", with_face=False)
    world.sql("UPDATE facematch.outcomes SET detail = %s", "there is no p/[draft]x[/b][red]:cat:\x1b[2J.jpg")
    done = await facematch(world.environment | {"COLUMNS": "80"}, "show", str(photo))
    assert done.returncode == 0, done.stderr
    assert "p/[draft]x[/b][red]:cat:\\x1b[2J.jpg" in done.stdout
