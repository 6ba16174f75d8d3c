"""``facematch forget`` as an operator and a script use it."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest
from jsonschema import Draft202012Validator

from adapters.postgres.migrate import migrate
from tests.e2e.command import run_cli

_SCHEMA = Draft202012Validator(json.loads(Path("docs/reference/schemas/forget.json").read_text()))
_USER, _MATCHED, _EARLIER = (f"{number}1111111-1111-1111-1111-111111111111" for number in (1, 2, 3))
_FACE, _OWN_FACE, _EARLIER_FACE, _MATCH = (f"{number}1111111-1111-1111-1111-111111111111" for number in (4, 5, 6, 7))
_WRITE = f"""
INSERT INTO users VALUES ('{_USER}', '[1,0]', 'm@1');
INSERT INTO photos VALUES ('{_MATCHED}'), ('{_EARLIER}');
INSERT INTO photo_faces (id, photo_id, face_index, embedding, embedding_model) VALUES
  ('{_FACE}', '{_MATCHED}', 0, '[1,0]', 'm@1'), ('{_OWN_FACE}', '{_MATCHED}', 1, NULL, NULL),
  ('{_EARLIER_FACE}', '{_EARLIER}', 0, '[3,4]', 'm@1');
INSERT INTO face_matches (id, photo_face_id, user_id, confidence) VALUES ('{_MATCH}', '{_FACE}', '{_USER}', 0);
"""


@pytest.fixture
def database(database_url: str) -> dict[str, str]:
    """Return the settings of a database with a user who was matched on one photo, and missed on an earlier one."""
    asyncio.run(migrate(database_url))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_WRITE.encode())
    return {"FACEMATCH_DATABASE_URL": database_url}


def test_a_script_reads_what_was_deleted_and_what_is_left(database: dict[str, str]) -> None:
    """A dry run tells what the real one then does; the photo that was found by the distance can be named."""
    arguments = ("forget", _USER, "--json")
    found, done, again = (run_cli(*arguments, *more, **database) for more in (["--dry-run"], ["--photo", _EARLIER], []))
    documents = [json.loads(run.stdout) for run in (found, done, again)]
    for document in documents:
        _SCHEMA.validate(document)
    own = [{"photo_face_id": _OWN_FACE, "photo_id": _MATCHED}]
    told = {
        "user_id": _USER,
        "user_exists": True,
        "index_rows": 0,
        "prepared_templates": 0,
        "enrolments": 0,
        "outcomes": 0,
    }
    told |= {"attempts": 0, "ledger_photo_ids": [], "not_deleted": documents[0]["not_deleted"]}
    theirs = {"template": True, "match_ids": [_MATCH], "faces_left": own}
    near = [{"photo_face_id": _EARLIER_FACE, "photo_id": _EARLIER, "distance": pytest.approx(0.4)}]
    photos = [_MATCHED, _EARLIER]
    nothing = {"template": False, "match_ids": [], "faces_left": [], "faces": 0, "photo_ids": [], "nearest": []}
    assert documents == [
        told | theirs | {"dry_run": True, "faces": 1, "photo_ids": [_MATCHED], "nearest": near},
        told | theirs | {"dry_run": False, "faces": 2, "photo_ids": photos, "nearest": []},
        told | nothing | {"dry_run": False},
    ]
    assert [run.returncode for run in (found, done, again)] == [0, 0, 0]


def test_people_read_the_same(database: dict[str, str]) -> None:
    """With the photographs to delete, what may be theirs, and what nothing here deletes."""
    found, done, again = (
        run_cli("forget", _USER, *more, **database) for more in (["--dry-run"], ["--nearest", "0"], [])
    )
    assert found.stdout.startswith(f"Would be deleted of user {_USER}:\n")
    assert f"  0.4000 on photo {_EARLIER}\n" in found.stdout
    assert done.stdout.startswith(f"Deleted of user {_USER}:\n")
    assert f"they show the user:\n  {_MATCHED}\n" in done.stdout
    assert f"  {_OWN_FACE} on photo {_MATCHED}\n" in done.stdout
    assert (_EARLIER in done.stdout, "backups" in done.stdout) == (False, True)
    assert again.stdout.startswith(f"Nothing was left of user {_USER}.\n")
    assert [run.returncode for run in (found, done, again)] == [0, 0, 0]


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--json",)])
def test_an_id_that_nothing_knows_is_doubted(database: dict[str, str], options: tuple[str, ...]) -> None:
    """It may be mistyped: a warning asks, and the exit code stays 0 for who runs it again; a known user is no doubt."""
    done = run_cli("forget", _MATCHED, *options, **database)
    assert done.returncode == 0
    assert done.stderr == (
        f"Warning: `users` has no row {_MATCHED}, and nothing else here names this id: is it the right one?\n"
    )
    known = [run_cli("forget", _USER, *options, **database) for _ in range(2)]
    assert [(run.returncode, run.stderr) for run in known] == [(0, "")] * 2


def test_an_id_that_is_none_is_wrong_usage(database: dict[str, str]) -> None:
    """As with every command."""
    done = run_cli("forget", "ada", **database)
    assert (done.returncode, "123e4567-e89b-12d3-a456-426614174000" in done.stderr) == (2, True)
