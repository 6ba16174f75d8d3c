"""The command line as people and scripts use it."""

import asyncio
import json
import os
import re
import subprocess
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from nats.js.api import DiscardPolicy
from PIL import ImageFilter

from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.face_pipeline import Embed
from domain.faces import PhotoReading
from infra.local_stack.postgres import PostgresServer
from tests import pictures
from tests.databases import new_role, url_of
from tests.e2e.command import FACEMATCH, PATIENCE_SECONDS, clean_environment, run_cli, run_process
from tests.e2e.forked import run_forked
from tests.e2e.world import World

_HOSTILE = str(Path(__file__).parents[1] / "integration" / "vision" / "embedders")
_NO_SERVERS = {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1", "FACEMATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"}


@pytest.mark.parametrize("arguments", [(), ("dead",), ("dead", "list"), ("worker",)])
def test_commands_explain_themselves(arguments: tuple[str, ...]) -> None:
    """``--help`` shows usage and ends with 0, without any server."""
    done = run_cli(*arguments, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: facematch" in done.stdout


def test_the_version_is_told() -> None:
    """``--version`` prints name and version, then each embedder with its weights and their licences."""
    [first, *others] = run_process("--version").stdout.splitlines()
    assert re.fullmatch(r"facematch \d+\.\d+\.\d+", first)
    assert {"dlib@2", "mediapipe@2"} <= set(others)
    assert any(re.fullmatch(r"  \S+\.tflite: Apache-2\.0, from \S+, SHA-256 [0-9a-f]{12}…", line) for line in others)


@pytest.mark.parametrize("arguments", [("no-such-command",), ("enroll",), ("show", "no-uuid"), ("worker", "--fast")])
def test_wrong_usage_ends_with_two(arguments: tuple[str, ...]) -> None:
    """Unknown commands and options, missing and malformed arguments are told from failed work."""
    assert run_cli(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "no-uuid"), "'PHOTO_ID': expected a UUID, such as 123e4567-e89b-12d3-a456-426614174000\n"),
        (("dead", "show", "x"), "'SEQ': expected a whole number\n"),
        (("dead", "show", "0"), "'SEQ': expected a number greater than or equal to 1\n"),
        (("reconcile", "--grace", "soon"), "'--grace': expected a number\n"),
        (
            ("backfill", "--outcome", "well"),
            "'--outcome': 'well' is not one of 'matched', 'skipped', 'failed', 'none'.\n",
        ),
    ],
)
def test_what_is_wrong_with_an_argument_is_told_in_words_of_our_own(arguments: tuple[str, ...], told: str) -> None:
    """Not in those of a library."""
    done = run_cli(*arguments)
    assert (done.returncode, done.stderr.partition("Invalid value for ")[2]) == (2, told)


@pytest.mark.parametrize(
    ("reference", "code", "told"),
    [
        (f"minio://{'b' * 65_400}/a.jpg", 1, "cannot connect to NATS"),
        (f"minio://{'b' * 65_600}/a.jpg", 2, "more than 65536 it is malformed"),
        (
            "s3://images/a.jpg",
            2,
            "IMAGE_REF: image_ref has a scheme other than minio://: write minio://BUCKET/KEY, ",
        ),
        ("minio://elsewhere/../a.jpg", 2, "IMAGE_REF: image_ref has a key with an absolute or relative path"),
        ("minio:///a.jpg", 2, "IMAGE_REF: image_ref names no bucket"),
        ("", 2, "IMAGE_REF: image_ref has no key"),
    ],
    ids=["long", "too long", "scheme", "path", "no bucket", "nothing"],
)
def test_a_job_that_every_worker_would_refuse_is_not_submitted(reference: str, code: int, told: str) -> None:
    """That is wrong usage. Which buckets may be read is the workers' own, and any other job finds no server here."""
    done = run_cli("submit", str(uuid4()), reference, **_NO_SERVERS)
    assert (done.returncode, told in done.stderr.replace("\n", " ")) == (code, True), done.stderr


def test_all_wrong_settings_are_told_at_once_unbroken_in_a_narrow_terminal() -> None:
    """One table lists every wrong variable by its full name, masks secrets, and names the embedders there are."""
    wrong = {
        "FACEMATCH_WORKER_SHUTDOWN_GRACE": "soon",
        "FACEMATCH_EMBEDDER": "arcface",
        "FACEMATCH_EMBEDDER_FILE": "README.md",
        "FACEMATCH_DATABASE_URL": "mysql://user:canary-secret@h/d",
        "FACEMATCH_S3_RETRY_BASE_SECONDS": "-1",
        "COLUMNS": "40",
    }
    done = run_process("worker", **wrong)
    assert done.returncode == 2
    assert all(name in done.stderr for name in wrong if name.startswith("FACEMATCH_"))
    assert all(name in done.stderr for name in ("custom", "dlib", "mediapipe"))
    assert "canary-secret" not in done.stderr + done.stdout


@pytest.mark.parametrize("columns", ["0", "-1", "wide", "²"])
def test_a_width_that_is_none_is_ignored(columns: str) -> None:
    """Some shells and tools say that a terminal has no columns."""
    assert "dlib" in run_process("embedders", COLUMNS=columns).stdout


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", ["embedders --json", "completion bash", "--version", "inspect --json missing.jpg"])
def test_an_output_that_takes_nothing_is_told_in_a_line(command: str, redirected: str) -> None:
    """It is full, or closed: the command has failed, however little it had to say."""
    line = f"{FACEMATCH} {command} {redirected}"
    done = subprocess.run(["sh", "-c", line], env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [told] = done.stderr.splitlines()
    assert told.startswith("standard output cannot be written to (")


@pytest.mark.parametrize(("command", "code"), [("nonsense", 2), ("inspect --json missing.jpg", 1), ("--version", 0)])
def test_a_standard_error_that_is_closed_changes_no_exit_code(command: str, code: int) -> None:
    """What would be told there is lost, and comes nowhere else."""
    whole, part = (
        subprocess.run(
            ["sh", "-c", f"{FACEMATCH} {command} {redirected}"],
            env=clean_environment(),
            capture_output=True,
            check=False,
        )
        for redirected in ("", "2>&-")
    )
    assert (whole.returncode, part.returncode, part.stdout) == (code, code, whole.stdout)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("enroll --from -", "<stdin>, which cannot be read: Bad file descriptor"),
        ("reenroll prepare --from -", "<stdin>, which cannot be read: Bad file descriptor"),
        ("dead purge", "nobody can be asked here: say --yes, or --dry-run to see what would be deleted"),
    ],
)
def test_an_input_that_is_closed_is_told_in_a_line(command: str, told: str) -> None:
    """There is nothing to read, and nobody to ask: that is wrong usage."""
    line = f"{FACEMATCH} {command} <&-"
    done = subprocess.run(["sh", "-c", line], env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", [told])


def test_a_broken_plugin_harms_no_other_embedder() -> None:
    """It is named on standard error, the others are listed; who chooses it has a wrong configuration."""
    hostile = {"PYTHONPATH": _HOSTILE}
    listed = run_forked("embedders", "--json", **hostile)
    names = [row["name"] for row in json.loads(listed.stdout)]
    assert (listed.returncode, {"dlib", "mediapipe", "hostile"} <= set(names)) == (0, True)
    assert "not-importable" not in names
    assert "embedder 'not-importable' (facematch_hostile_missing" in listed.stderr
    chosen = {"FACEMATCH_EMBEDDER": "not-importable", **hostile}
    for arguments in (("worker",), ("inspect", "any.jpg")):
        done = run_forked(*arguments, **chosen)
        assert (done.returncode, "cannot be imported" in done.stderr) == (2, True)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("migrate",), ("provision",), ("submit", str(uuid4()), "a.jpg")])
def test_a_server_that_is_away_is_a_clear_failure(command: tuple[str, ...]) -> None:
    """Exit code 1 and one sentence that says what cannot be reached; no stack trace."""
    done = run_forked(*command, **_NO_SERVERS)
    assert done.returncode == 1
    assert ("database" in done.stderr) or ("NATS" in done.stderr)
    assert "Traceback" not in done.stderr


def test_other_parts_of_opentelemetry_are_not_asked_for() -> None:
    """What such a variable names may not be installed; context is always W3C's, and the rest the SDK's own."""
    names = dict.fromkeys(("OTEL_PROPAGATORS", "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_CONTEXT"), "b3")
    done = run_process("submit", str(uuid4()), "a.jpg", **names, **_NO_SERVERS)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "NATS" in done.stderr


def test_inspect_prints_a_line_for_each_image_in_order(photographs: Any) -> None:
    """Every image has its line with all keys, also one that cannot be read, which makes the exit code 1."""
    files = [str(photographs.path("obama")), "README.md", str(photographs.path("coffee")), "missing.jpg"]
    done = run_cli("inspect", "--json", "--with-embedding", *files)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == files
    assert [line["error"] for line in lines] == [None, "unreadable_image", None, "image_not_found"]
    assert [len(line["faces"]) for line in lines] == [1, 0, 0, 0]
    assert (lines[0]["width"], lines[0]["height"], lines[0]["embedder"]) == (910, 1137, "dlib@2")
    [face] = lines[0]["faces"]
    assert set(face) == {"bbox", "score", "embedding"}
    assert len(face["embedding"]) == 128
    assert all(set(line["ms"]) == {"decode", "detect", "embed"} for line in lines)
    assert (lines[2]["ms"]["embed"], lines[1]["ms"]["decode"]) == (0, 0)
    assert done.returncode == 1


def test_inspect_keeps_all_vision_processes_at_work(photographs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many files are read at once as there are processes, each by another one; their lines keep the order."""
    all_asked = asyncio.Barrier(2)
    read_by = set[int]()
    read = ProcessPoolFaceReader.read

    async def read_with_others(self: ProcessPoolFaceReader, image: bytes, *, embed: Embed) -> PhotoReading:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await all_asked.wait()
        reading = await read(self, image, embed=embed)
        read_by.update(stage.process_id for stage in reading.stages)
        return reading

    monkeypatch.setattr(ProcessPoolFaceReader, "read", read_with_others)
    files = [str(photographs.path(name)) for name in ("obama", "coffee")]
    done = run_cli("inspect", "--json", *files, FACEMATCH_WORKER_PROCESSES="2")
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == files
    assert len(read_by) == 2


def test_a_local_file_is_not_read_beyond_what_is_allowed(world: World, tmp_path: Path) -> None:
    """One that would not fit into memory is too large at once."""
    endless = tmp_path / "endless.jpg"
    with endless.open("wb") as file:
        file.truncate(2**40)
    [line] = run_cli("inspect", "--json", str(endless)).stdout.splitlines()
    assert json.loads(line)["error"] == "image_too_large"
    done = world.cli("enroll", str(world.add_user()), str(endless), check=False)
    assert (done.returncode, "the image has more than the allowed 20971520 bytes" in done.stderr) == (1, True)


def test_inspect_tells_people_what_the_matter_is(tmp_path: Path) -> None:
    """Beside the word for machines; a key of the object store is no file, and nobody waits for a pipe."""
    os.mkfifo(pipe := tmp_path / "pipe")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    done = run_cli("inspect", "people/ada.jpg", str(pipe), str(text))
    *others, no_image = done.stdout.splitlines()
    assert others == [
        "people/ada.jpg: image_not_found: no such file; only local files are inspected",
        f"{pipe}: unreadable_image: not a regular file",
    ]
    assert no_image.startswith(f"{text}: unreadable_image: not an image of an allowed format (")


def test_inspect_shows_what_a_terminal_would_obey(tmp_path: Path) -> None:
    """A file's name cannot clear the screen."""
    name = str(tmp_path / "a\x1b[2J.jpg")
    assert "a\\x1b[2J.jpg: image_not_found" in run_cli("inspect", name).stdout


def test_inspect_shows_people_how_sharp_a_face_is(photographs: Any) -> None:
    """Where it was embedded, since sharpness is measured on what the recogniser gets."""
    photograph = str(photographs.path("obama"))
    [head, face] = run_cli("inspect", "--with-embedding", photograph).stdout.splitlines()
    assert head.startswith(f"{photograph}: 910 x 1137, 1 face, decode ")
    assert re.fullmatch(r"  box \(\d+, \d+\) to \(\d+, \d+\), score \d\.\d\d, sharpness \d+\.\d", face)
    assert "sharpness" not in run_cli("inspect", photograph).stdout


def test_inspect_prints_vectors_only_when_asked(photographs: Any) -> None:
    """Without ``--with-embedding`` no face is embedded, and the exit code is 0."""
    done = run_cli("inspect", "--json", str(photographs.path("obama")))
    line = json.loads(done.stdout)
    assert done.returncode == 0
    assert set(line["faces"][0]) == {"bbox", "score"}
    assert line["ms"]["embed"] == 0


def test_embedders_are_listed_for_machines() -> None:
    """Each has its id, dimension, licence and thresholds that tighten with the gallery."""
    rows = json.loads(run_cli("embedders", "--json", FACEMATCH_EMBEDDER="mediapipe").stdout)
    assert [(row["name"], row["active"], row["dimension"]) for row in rows] == [
        ("dlib", False, 128),
        ("mediapipe", True, 128),
    ]
    for row in rows:
        thresholds = [row["thresholds"][users] for users in ("20", "1000", "100000")]
        assert thresholds == sorted(thresholds, reverse=True)
        assert row["licence"]


def test_an_enrolment_writes_all_or_nothing(world: World, photographs: Any) -> None:
    """One photograph without exactly one face, a missing file or an unknown user: exit 1 and nothing written."""
    user, good = world.add_user(), str(photographs.path("obama"))
    for arguments, problem in (
        ((str(user), good, str(photographs.path("coffee"))), "the detector found no face"),
        ((str(user), good, "missing.jpg"), "missing.jpg"),
        ((str(user), good, "minio://private/a.jpg"), "FACEMATCH_S3_ALLOWED_BUCKETS"),
        ((str(user), good, "/dev/zero"), "/dev/zero: not a regular file"),
        ((stranger := str(uuid4()), good), f"there is no user {stranger}"),
    ):
        done = world.cli("enroll", "--json", *arguments, check=False)
        assert done.returncode == 1
        assert "nothing was enrolled" in done.stderr
        told = json.loads(done.stdout)
        assert (told["user_id"], told["enrolled"], told["photographs"]) == (arguments[0], False, len(arguments) - 1)
        assert problem in told["problems"][0]
    assert world.sql("SELECT count(*) FROM users WHERE face_embedding IS NOT NULL") == [(0,)]
    world.environment |= {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1"}
    told = json.loads(world.cli("enroll", "--json", str(user), good, str(photographs.path("obama3"))).stdout)
    enrolled = {"user_id": str(user), "enrolled": True, "photographs": 2, "problems": [], "warnings": []}
    assert told == {**enrolled, "embedder": "dlib@2"}
    [(length, model)] = world.sql("SELECT vector_norm(face_embedding), face_embedding_model FROM users")
    assert length == pytest.approx(1, abs=1e-6)
    assert model == "dlib@2"


def test_an_enrolment_tells_what_speaks_against_it(world: World, photographs: Any, tmp_path: Path) -> None:
    """A blurred photograph, those of two people, a user who is enrolled already are warned of, also in JSON; exit 0."""
    portrait = pictures.opened(photographs.path("biden"))
    blurred = tmp_path / "blurred.jpg"
    blurred.write_bytes(pictures.jpeg(portrait.filter(ImageFilter.GaussianBlur(portrait.width / 80))))
    obama, biden, again = (str(photographs.path(name)) for name in ("obama", "biden", "obama2"))
    user, second = world.add_user(), world.add_user()
    mixed = world.cli("enroll", str(user), obama, biden)
    assert f"Warning: {obama} and {biden} are 0." in mixed.stderr
    assert f"User {user} is enrolled" in mixed.stdout
    alone = world.cli("enroll", str(user), obama)
    assert alone.stderr == ""
    done = world.cli("enroll", "--json", str(second), again, str(blurred))
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["Warning:"] * 3
    dull, far_apart, look_alike = json.loads(done.stdout)["warnings"]
    assert (dull["warning"], dull["photograph"], dull["limit"]) == ("blurred", str(blurred), 2)
    assert 0 < dull["sharpness"] < 2
    assert f"{blurred} is blurred or dark" in dull["message"]
    assert (far_apart["warning"], far_apart["photographs"]) == ("far_apart", [again, str(blurred)])
    assert far_apart["distance"] > far_apart["limit"] == pytest.approx(0.0902)
    assert (look_alike["warning"], look_alike["user_id"]) == ("look_alike", str(user))
    assert look_alike["distance"] <= look_alike["limit"]
    assert f"user {user} is about as near as the same person" in look_alike["message"]
    assert world.sql("SELECT count(*) FROM users WHERE face_embedding IS NOT NULL") == [(2,)]
    strict = world.cli("enroll", "--json", "--strict", str(world.add_user()), again, str(blurred), check=False)
    told = json.loads(strict.stdout)
    assert (strict.returncode, told["enrolled"]) == (1, False)
    assert told["problems"] == [warning["message"] for warning in told["warnings"]]
    assert [warning["warning"] for warning in told["warnings"]] == ["blurred", "far_apart", "same_template"]
    assert "nothing was enrolled" in strict.stderr
    assert "Warning" not in strict.stderr
    assert world.sql("SELECT count(*) FROM users WHERE face_embedding IS NOT NULL") == [(2,)]


async def test_submit_and_show_tell_a_job_s_whole_story(world: World, photographs: Any) -> None:
    """``show`` fails before the job has ended, and then says what became of it, why, and in which trace."""
    photo = world.add_photo()
    world.put("coffee.png", photographs.path("coffee").read_bytes())
    told = json.loads(world.cli("submit", str(photo), "coffee.png", "--json").stdout)
    unknown = world.cli("show", str(photo), check=False)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no attempt of one is known" in unknown.stderr
    assert "facematch dead list --reason malformed_payload" in unknown.stderr
    with world.worker():
        await world.outcome_of(photo)
    [record] = json.loads(world.cli("show", str(photo), "--json").stdout)
    assert (record["job"], record["outcome"], record["reason"]) == (told["job"], "skipped", "no_face")
    assert re.fullmatch("[0-9a-f]{32}", record["trace_id"])
    world.environment["COLUMNS"] = "50"
    shown = world.cli("show", str(photo)).stdout
    assert ("no_face" in shown, str(photo) in shown) == (True, True), "an id can be copied from a narrow terminal, too"


def test_migrate_says_which_tables_it_found_and_made_and_what_is_wrong_with_them(bare_world: World) -> None:
    """Tables of other names are not found: whoever migrates sees the empty ones, and what no worker can work with."""
    bare_world.sql("CREATE TABLE accounts (id uuid)")
    bare_world.sql("CREATE TABLE photos (id uuid PRIMARY KEY)")
    bare_world.sql("CREATE TABLE photo_faces (id uuid PRIMARY KEY, photo_id uuid, face_index text, embedding real[])")
    first = bare_world.cli("migrate")
    found, made = first.stdout.splitlines()[1:]
    assert found == "Your tables: public.photo_faces, public.photos."
    assert made == "Made, because there were none: public.users, public.face_matches."
    assert first.stderr.startswith(
        "No worker can start yet: public.photo_faces.embedding is of type _float4, not vector"
    )
    again = bare_world.cli("migrate")
    assert (len(again.stdout.splitlines()), "Made" in again.stdout) == (2, False)
    nobody = bare_world.cli("migrate", "--grant-to", "facematch_wrker", check=False)
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert nobody.stderr.startswith("there is no role facematch_wrker")


def test_migrate_prints_its_sql_for_review_and_changes_nothing(
    bare_world: World, postgres_server: PostgresServer
) -> None:
    """What it prints, a migration tool can run: it does all of the work, and waits as briefly for locks."""
    bare_world.sql("CREATE TABLE photos (id uuid PRIMARY KEY)")
    [(database,)] = bare_world.sql("SELECT current_database()")
    worker = new_role(postgres_server, "worker")
    tables = "SELECT relname FROM pg_class WHERE relnamespace NOT IN (11, 'information_schema'::regnamespace)"
    before = sorted(bare_world.sql(tables))
    printed = bare_world.cli("migrate", "--grant-to", worker, "--dry-run")
    assert (sorted(bare_world.sql(tables)), printed.stderr.startswith("Nothing was changed: ")) == (before, True)
    refused = run_cli("migrate", FACEMATCH_DATABASE_URL=url_of(postgres_server, database, worker))
    for sql in printed.stdout, refused.stdout:
        assert sql.startswith("BEGIN;\n\nSET LOCAL lock_timeout = '5s';\n\nCREATE ")
        assert sql.endswith(";\n\nCOMMIT;\n")
    told = json.loads(bare_world.cli("migrate", "--dry-run", "--json").stdout)
    assert (told["migrated"], bool(told["statements"]), told["tables"]) == (False, True, ["public.photos"])
    with psycopg.connect(postgres_server.url(database), autocommit=True) as tool:
        tool.execute(printed.stdout.encode())
    again = bare_world.cli("migrate", "--dry-run")
    assert (again.stdout, again.stderr.strip()) == ("", "Nothing was changed: 0 statements are needed.")
    assert run_cli("migrate", FACEMATCH_DATABASE_URL=url_of(postgres_server, database, worker)).returncode == 0


def test_migrate_ends_with_what_doctor_advises_about_missing_indexes(bare_world: World) -> None:
    """An application's tables may lack one: it is told each time, also for machines, until somebody has made it."""
    assert bare_world.cli("migrate").stderr == ""
    bare_world.sql("DROP INDEX face_matches_photo_face_id")
    statement = 'CREATE INDEX CONCURRENTLY ON "public"."face_matches" ("photo_face_id")'
    for arguments in ("--dry-run",), ():
        done = bare_world.cli("migrate", *arguments)
        assert done.stderr.endswith(f"every job needs this index; the owner can run: {statement}\n")
        assert statement not in done.stdout
        assert json.loads(bare_world.cli("migrate", *arguments, "--json").stdout)["advice"] == [statement]
    checks = json.loads(bare_world.cli("doctor", "--json", check=False).stdout)["checks"]
    assert [check["detail"] for check in checks if check["what"] == "database speed"] == [
        f"every job needs this index; the owner can run: {statement}"
    ]
    bare_world.sql(statement)
    assert bare_world.cli("migrate").stderr == ""
    assert json.loads(bare_world.cli("migrate", "--json").stdout)["advice"] == []


def test_migrate_and_provision_tell_machines_what_came_of_it(
    bare_world: World, postgres_server: PostgresServer
) -> None:
    """What was done, and where the database refuses what has to be done, with the same names."""
    bare_world.sql("CREATE EXTENSION vector")
    bare_world.sql("CREATE TABLE photos (id uuid PRIMARY KEY)")
    [(database,)] = bare_world.sql("SELECT current_database()")
    nobody = url_of(postgres_server, database, new_role(postgres_server, "nobody"))
    refused = run_cli("migrate", "--json", FACEMATCH_DATABASE_URL=nobody)
    told = json.loads(refused.stdout)
    assert (refused.returncode, told["migrated"], told["tables"], told["made"]) == (1, False, [], [])
    assert (bool(told["statements"]), refused.stderr) == (True, f"{told['problems'][0]}\n")
    first = json.loads(bare_world.cli("migrate", "--json").stdout)
    made = ["public.users", "public.photo_faces", "public.face_matches"]
    assert (bool(first.pop("statements")), sorted(first.pop("made"))) == (True, sorted(made))
    assert first == {"migrated": True, "tables": ["public.photos"], "problems": [], "advice": []}
    again = json.loads(bare_world.cli("migrate", "--json").stdout)
    assert (again["migrated"], again["statements"]) == (True, [])
    assert sorted(again["tables"]) == sorted(["public.photos", *made])
    for action in "created", "unchanged":
        things = json.loads(bare_world.cli("provision", "--json").stdout)
        assert [thing["kind"] for thing in things] == ["stream"] * 3 + ["consumer"]
        assert {thing["action"] for thing in things} == {action}


async def test_streams_that_somebody_else_makes_are_as_good(bare_world: World) -> None:
    """What ``provision --print-config`` prints without a broker, JetStream takes; after that nothing is missing."""
    environment = bare_world.environment | _NO_SERVERS
    printed = json.loads(run_cli("provision", "--print-config", **environment).stdout)
    for config in printed["streams"]:
        await _ask_jetstream(bare_world, f"STREAM.CREATE.{config['name']}", config)
    for consumer in printed["consumers"]:
        name = f"{consumer['stream_name']}.{consumer['config']['durable_name']}"
        await _ask_jetstream(bare_world, f"CONSUMER.DURABLE.CREATE.{name}", consumer)
    checks = json.loads(bare_world.cli("doctor", "--json", check=False).stdout)["checks"]
    assert [check for check in checks if check["what"] in {"provisioning", "consumer", "stream"}] == []
    assert ("jobs", "ok") in {(check["what"], check["status"]) for check in checks}
    assert {thing["action"] for thing in json.loads(bare_world.cli("provision", "--json").stdout)} == {"unchanged"}


async def _ask_jetstream(world: World, what: str, body: dict[str, Any]) -> None:
    answer = await world.client.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout=10)
    assert "error" not in json.loads(answer.data)


async def test_doctor_tells_what_is_missing_and_then_that_all_is_well(bare_world: World) -> None:
    """Before ``migrate`` and ``provision`` it fails and names both; afterwards it ends with 0."""
    world = bare_world
    before = world.cli("doctor", check=False)
    assert before.returncode == 1
    assert "facematch migrate" in re.sub(r"[\s│]+", " ", before.stdout)
    assert "facematch provision" in re.sub(r"[\s│]+", " ", before.stdout)
    world.prepare()
    user = world.add_user()
    world.sql("UPDATE users SET face_embedding = '[1,2,3]' WHERE id = %s", user)
    dead = (await world.js.stream_info("PHOTO_FACES_DEAD")).config
    await world.js.update_stream(dead.evolve(max_msgs=10, discard=DiscardPolicy.OLD))
    checks = {check["what"]: check for check in json.loads(world.cli("doctor", "--json").stdout)["checks"]}
    assert {what for what, check in checks.items() if check["status"] == "failed"} == set()
    assert checks["other embeddings"]["status"] == "warning"
    assert "unknown model" in checks["other embeddings"]["detail"]
    assert checks["stream"]["status"] == "warning"
    assert "PHOTO_FACES_DEAD has max_msgs 10 and then drops the oldest" in checks["stream"]["detail"]
    assert "; your tables: public.photos, public.users, public.photo_faces, " in checks["database"]["detail"]
    world.environment["FACEMATCH_S3_ALLOWED_BUCKETS"] = "private"
    refusing = json.loads(world.cli("doctor", "--json", check=False).stdout)["checks"]
    warnings = [check["detail"] for check in refusing if (check["what"], check["status"]) == ("bucket", "warning")]
    assert warnings == ["references that name none are refused: images is not in FACEMATCH_S3_ALLOWED_BUCKETS"]
    del world.environment["FACEMATCH_S3_ALLOWED_BUCKETS"]
    world.environment["FACEMATCH_S3_BUCKET"] = "nothere"
    model = checks["embedder"]["detail"].partition(",")[0]
    template = "face_embedding = array_fill(1, ARRAY[128])::vector, face_embedding_model = %s"
    world.sql(f"UPDATE users SET {template} WHERE id = %s", model, user)
    world.cli("index", "--model", model)
    world.sql("UPDATE facematch.codebooks SET content = substr(content, 1, 9)")
    misled = world.cli("doctor", "--json", check=False)
    failed = [check for check in json.loads(misled.stdout)["checks"] if check["status"] == "failed"]
    assert (misled.returncode, [check["what"] for check in failed]) == (1, ["search", "bucket"])
    assert "is damaged, or of a newer release, " in failed[0]["detail"]
    assert "no bucket nothere: correct FACEMATCH_S3_BUCKET" in failed[1]["detail"]


def test_a_broken_embedder_is_all_that_is_wrong(world: World) -> None:
    """What needs none goes on, and ``doctor`` looks at everything else."""
    world.environment |= {"FACEMATCH_EMBEDDER": "not-importable", "PYTHONPATH": _HOSTILE, "FACEMATCH_SLIP": "1"}
    examined = world.cli("doctor", "--json", check=False)
    checks = [(check["what"], check["status"]) for check in json.loads(examined.stdout)["checks"]]
    assert (examined.returncode, [what for what, status in checks if status == "failed"]) == (1, ["embedder"])
    assert {("settings", "warning"), ("database", "ok"), ("bucket", "ok")} <= set(checks)
    shown = world.cli("show", str(uuid4()), check=False)
    assert (shown.returncode, "no job" in shown.stderr) == (1, True)


async def test_healthcheck_asks_the_worker(world: World) -> None:
    """It ends with 0 while the worker lives and with 1 when nobody answers."""
    with world.worker() as worker:
        world.environment["FACEMATCH_HEALTH_ADDRESS"] = worker.health
        assert world.cli("healthcheck").returncode == 0
        assert world.cli("healthcheck", "--ready").returncode == 0
        assert worker.stop() == 0
        assert world.cli("healthcheck", check=False).returncode == 1


def test_a_healthcheck_tells_a_worker_from_others() -> None:
    """Whoever else answers at the address, and kindly, is no worker."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        asked = run_cli("healthcheck", FACEMATCH_HEALTH_ADDRESS=f"127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (asked.returncode, "Traceback" in asked.stderr) == (1, False)
    assert f"what answers at 127.0.0.1:{server.server_port} is no worker" in asked.stderr


def test_a_healthcheck_minds_only_where_the_worker_answers() -> None:
    """It asks although other settings are wrong, here in vain; without a right address it cannot."""
    others = {"FACEMATCH_EMBEDDER": "arcface", "FACEMATCH_DATABASE_URL": "mysql://h/d", "OTEL_BSP_SCHEDULE_DELAY": "x"}
    asked = run_cli("healthcheck", FACEMATCH_HEALTH_ADDRESS="127.0.0.1:1", **others)
    assert (asked.returncode, "no worker answers at 127.0.0.1:1" in asked.stderr) == (1, True)
    assert run_cli("healthcheck", FACEMATCH_HEALTH_ADDRESS="nowhere").returncode == 2
