"""What the compose file tells PostgreSQL and S3 servers, told to real ones."""

import json
import os
from collections.abc import Iterator
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
import urllib3
import yaml
from minio import Minio
from minio.error import S3Error

from adapters.postgres.migrate import migrate
from infra.container.podman import run
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.process import ServerProcess, free_port, program

CONTAINER: Final = Path("infra/container")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((CONTAINER / "compose.yaml").read_text())
INNER_PORTS: Final = ("master.port", "volume.port", "filer.port", "admin.port")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of secrets as the script makes it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "make-secrets.sh").write_bytes((CONTAINER / "make-secrets.sh").read_bytes())
    run(["sh", str(folder / "make-secrets.sh")], seconds=10)
    return folder / "secrets"


@pytest.fixture(scope="module")
def object_store(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return host and port of a server that was started as in the compose file, with ports and folders of the test."""
    folder = tmp_path_factory.mktemp("seaweed")
    (folder / "data").mkdir()
    port = free_port()
    own = {
        "-dir": str(folder / "data"),
        "-ip": "127.0.0.1",
        "-ip.bind": "127.0.0.1",
        "-s3.port": str(port),
        "-s3.config": str(secrets / "s3_identities.json"),
    }
    command = [program("weed")]
    for argument in COMPOSE["services"]["s3"]["command"]:
        name, equals, value = argument.partition("=")
        command.append(f"{name}{equals}{own.get(name, value)}")
    for inner in INNER_PORTS:
        command += [f"-{inner}={free_port()}", f"-{inner}.grpc={free_port()}"]
    command += [f"-s3.port.grpc={free_port()}", f"-filer.localSocket={folder}/f", f"-s3.localSocket={folder}/s"]

    def ready() -> bool:
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/healthz", timeout=1, retries=False)
            return answer.status == HTTPStatus.OK and client(f"127.0.0.1:{port}", secrets, "worker").bucket_exists(
                "images"
            )
        except (urllib3.exceptions.HTTPError, S3Error):
            return False

    server = ServerProcess("weed mini", folder / "weed.log")
    server.start(command, environment={"PATH": os.defpath, "HOME": str(folder)}, ready=ready, patience=90)
    yield f"127.0.0.1:{port}"
    server.stop()


def client(endpoint: str, secrets: Path, who: str) -> Minio:
    """Return a client with the key of the ``worker`` or the ``application``."""
    identities = json.loads((secrets / "s3_identities.json").read_text())["identities"]
    [key] = [identity["credentials"][0]["accessKey"] for identity in identities if identity["name"] == who]
    secret = (secrets / f"s3_{who}_secret_key").read_text().strip()
    return Minio(endpoint, access_key=key, secret_key=secret, secure=False, region="us-east-1")


def test_the_application_writes_photographs_and_the_worker_reads_them(object_store: str, secrets: Path) -> None:
    """The bucket is there at the start, and each has the rights for its part."""
    key = f"{uuid4()}.jpg"
    client(object_store, secrets, "application").put_object("images", key, BytesIO(b"content"), 7)

    with client(object_store, secrets, "worker").get_object("images", key) as answer:
        assert answer.read() == b"content"
    with pytest.raises(S3Error) as missing:
        client(object_store, secrets, "worker").get_object("images", "nothing-here.jpg")
    assert missing.value.code == "NoSuchKey"


def test_the_worker_may_not_write_and_strangers_may_not_read(object_store: str, secrets: Path) -> None:
    """The worker's key is of no use to change a photograph, and without a key there is nothing."""
    worker = client(object_store, secrets, "worker")
    anonymous = Minio(object_store, secure=False, region="us-east-1")

    for refused in (
        lambda: worker.put_object("images", "mine.jpg", BytesIO(b"x"), 1),
        lambda: worker.remove_object("images", "mine.jpg"),
        lambda: worker.make_bucket("mine"),
        lambda: anonymous.get_object("images", "mine.jpg"),
    ):
        with pytest.raises(S3Error) as error:
            refused()
        assert error.value.code == "AccessDenied"


async def test_the_owner_migrates_and_lets_the_worker_in(postgres_server: PostgresServer, secrets: Path) -> None:
    """The roles that are made are enough: one for the tables, one for the worker, who cannot touch the tables."""
    [service] = [COMPOSE["services"]["postgres"]]
    database = service["environment"]["POSTGRES_DB"]
    postgres_server.create_database(database)
    with psycopg.connect(postgres_server.url(database), autocommit=True) as superuser:
        superuser.execute((secrets / "postgres_roles.sql").read_bytes())
    here = postgres_server.url("").partition("@")[2].rstrip("/")
    owner, worker = (
        (secrets / name).read_text().strip().replace("postgres:5432", here)
        for name in ("database_owner_url", "database_worker_url")
    )

    await migrate(owner, grant_to="facematch_worker")

    with psycopg.connect(worker, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM facematch.outcomes").fetchone() == (0,)
        for statement in (
            "DELETE FROM users",
            "DROP TABLE photos",
            "INSERT INTO photos (id) VALUES (gen_random_uuid())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
