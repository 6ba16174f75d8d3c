"""``facematch enroll --from``: an application's users are enrolled from a list."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.world import World


async def test_everybody_on_a_list_is_enrolled_and_named(world: World, photographs: Any, tmp_path: Path) -> None:
    """From objects and local files; who cannot be is told of, and a second run only does what is left."""
    obama, biden, nobody = world.add_user(), world.add_user(), uuid4()
    world.put("obama.jpg", photographs.path("obama").read_bytes())
    world.put("party.jpg", photographs.path("obama2").read_bytes())
    listed = tmp_path / "users.csv"
    listed.write_text(f"{obama},obama.jpg\n{biden},{photographs.path('biden')}\n{nobody},obama.jpg\n", encoding="utf-8")
    first = world.cli("enroll", "--from", str(listed), check=False)
    assert (first.returncode, first.stdout) == (1, f"{nobody}: there is no user {nobody}, or they are deleted\n")
    assert first.stderr == "2 users enrolled with dlib@2; 1 user could not be.\n"
    second = world.cli("enroll", "--from", str(listed), "--json", check=False)
    [line] = [json.loads(line) for line in second.stdout.splitlines()]
    assert (line["user_id"], line["enrolled"], line["photographs"]) == (str(nobody), False, 1)
    passed_over = "2 users passed over, who had a template or are deleted"
    assert second.stderr == f"0 users enrolled with dlib@2; 1 user could not be; {passed_over}.\n"
    with world.worker():
        photo = world.add_photo()
        await world.publish({"photo_id": str(photo), "image_ref": "party.jpg"})
        [event] = await world.outcome_of(photo)
    assert event["user_id"] == str(obama)


def test_one_portrait_of_two_users_is_told_and_refused_where_it_is_strict(
    world: World, photographs: Any, tmp_path: Path
) -> None:
    """Neither would be named; of a list that is strict, the first of them is enrolled."""
    portrait = photographs.path("obama")
    users = [world.add_user() for _ in range(3)]
    listed = tmp_path / "users.csv"
    listed.write_text("".join(f"{user},{portrait}\n" for user in users[:2]), encoding="utf-8")
    loose = world.cli("enroll", "--from", str(listed))
    assert "has the same template" in loose.stderr
    assert loose.stderr.endswith("2 users enrolled with dlib@2.\n")
    listed.write_text(f"{users[2]},{portrait}\n", encoding="utf-8")
    strict = world.cli("enroll", "--from", str(listed), "--strict", check=False)
    assert strict.returncode == 1
    assert strict.stdout.startswith(f"{users[2]}: user {min(users[:2])} has the same template")
    assert strict.stderr == "0 users enrolled with dlib@2; 1 user could not be, 1 of them for a warning.\n"
    assert world.sql("SELECT count(*) FROM users WHERE face_embedding IS NOT NULL") == [(2,)]


def test_a_key_may_be_longer_than_a_file_s_name(world: World) -> None:
    """It is asked for in the store, not refused as a file that cannot be."""
    done = world.cli("enroll", str(world.add_user()), f"{'k' * 300}.jpg", check=False)
    told = "kkk.jpg: no such file here, so taken as a reference: there is no"
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("obamma.jpg", "no such file here, so taken as a reference: there is no minio://images/obamma.jpg (NoSuchKey)"),
        ("minio://images/obamma.jpg", "there is no minio://images/obamma.jpg (NoSuchKey)"),
        ("photos/../obama.jpg", "no such file here"),
        ("/nowhere/obama.jpg", "no such file here"),
        ("minio://images", "no such file here, and no reference either: image_ref has no key"),
    ],
)
def test_a_name_that_is_mistyped_is_told_of_in_the_words_of_who_typed_it(world: World, name: str, told: str) -> None:
    """As a file that is not here, unless it can only be meant as a reference."""
    done = world.cli("enroll", str(world.add_user()), name, check=False)
    assert (done.returncode, done.stderr) == (1, f"nothing was enrolled:\n  {name}: {told}\n")


def test_a_file_that_is_not_here_is_said_to_be_none_where_no_store_answers_either(world: World) -> None:
    """Who mistyped its name is not led to the object store alone."""
    world.environment["FACEMATCH_S3_ENDPOINT"] = "127.0.0.1:9"
    done = world.cli("enroll", str(world.add_user()), "obamma.jpg", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("no such file here, so taken as a reference: object store 127.0.0.1:9, minio://")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["11111111-1111-1111-1111-111111111111"],
        ["11111111-1111-1111-1111-111111111111", "a.jpg", "--from", "/dev/null"],
    ],
)
def test_a_user_or_a_list_and_not_both(bare_world: World, arguments: list[str]) -> None:
    """Anything else is wrong usage, and nothing is looked at."""
    done = bare_world.cli("enroll", *arguments, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "name a user and photographs of them, or a list with --from\n"
