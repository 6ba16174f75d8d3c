"""Who may do what: a database role, a key of the object store and a broker's user, each with a worker's rights only."""

import json
import os
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, Self
from uuid import uuid4

import attrs
import psycopg
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider

from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer, binaries
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from tests.databases import PASSWORD, new_role, url_of
from tests.e2e.command import clean_environment, run_cli
from tests.guarded_nats import PASSWORDS

ROLE_SQL: Final = Path("infra/postgres/worker-role.sql")
POLICY: Final = Path("infra/s3/read-photographs.json")
ALLOWED: Final = "images"
OTHER: Final = "letters"
"""Buckets: the worker may read one, and knows of the other."""
APPLICATION: Final = """
CREATE EXTENSION vector;
GRANT USAGE, CREATE ON SCHEMA public TO "{owner}";
SET ROLE "{owner}";
CREATE TABLE users (
    id uuid PRIMARY KEY, email text NOT NULL DEFAULT 'private@example.org', password_hash text,
    deleted_at timestamptz, blocked boolean NOT NULL DEFAULT false
);
CREATE TABLE photos (id uuid PRIMARY KEY, title text NOT NULL DEFAULT 'private', place point);
CREATE TABLE invoices (id uuid PRIMARY KEY, amount numeric NOT NULL);
"""


@attrs.frozen
class GuardedDatabase:
    """An application's database, by the URL of its owner and by that of the worker."""

    owner_url: str
    worker_url: str
    worker: str

    @classmethod
    def made(cls, server: PostgresServer) -> Self:
        """Make it as the documentation says: the application's tables, the shipped role, the owner's grants."""
        name = f"guarded_{uuid4().hex[:8]}"
        url, owner, worker = server.create_database(name), new_role(server, "owner"), f"worker {uuid4().hex[:8]}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'GRANT CREATE ON DATABASE {name} TO "{owner}"'.encode())
            connection.execute(APPLICATION.format(owner=owner).encode())
        for options in ([], ["-v", "close=yes"]):
            make_role(url, worker, *options)
        guarded = cls(url_of(server, name, owner), url_of(server, name, worker), worker)
        done = run_cli("migrate", "--grant-to", worker, FACEMATCH_DATABASE_URL=guarded.owner_url)
        assert done.returncode == 0, done.stderr
        return guarded


def make_role(url: str, role: str, *options: str) -> None:
    """Run the shipped script as whoever the URL names."""
    done = run_role_sql(url, "-v", f"worker={role}", *options)
    assert done.returncode == 0, done.stderr


def run_role_sql(
    url: str, *options: str, answers: Sequence[str] = (PASSWORD, PASSWORD)
) -> subprocess.CompletedProcess[str]:
    """Run the shipped script with these options and these lines on standard input; return what psql said."""
    command = [str(binaries() / "psql"), url, *options, "-f", str(ROLE_SQL)]
    lines = "".join(f"{answer}\n" for answer in answers)
    return subprocess.run(
        command,
        env={"PATH": os.defpath},
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # away from the terminal, at which psql would ask
    )


@attrs.frozen
class GuardedStore:
    """Buckets with an object each, by a client that may do everything, and by the worker's key."""

    endpoint: str
    admin: Minio
    access_key: str
    secret_key: str

    @classmethod
    def made(cls, server: S3Server | SeaweedServer) -> Self:
        """Make buckets and key; MinIO's own front end is given the shipped policy."""
        if isinstance(server, SeaweedServer):
            access_key, secret_key = server.worker_access_key, server.worker_secret_key
        else:
            access_key, secret_key = f"worker-{uuid4().hex[:8]}", uuid4().hex
            add_reader(server, access_key, secret_key)
        admin = server.client()
        for bucket in (ALLOWED, OTHER):
            if not admin.bucket_exists(bucket):
                admin.make_bucket(bucket)
            admin.put_object(bucket, "kept.jpg", BytesIO(b"kept"), 4)
        return cls(server.endpoint, admin, access_key, secret_key)

    def as_worker(self) -> Minio:
        """Return a client with the worker's key."""
        key, secret = self.access_key, self.secret_key
        return Minio(self.endpoint, access_key=key, secret_key=secret, secure=False, region="us-east-1")


def add_reader(server: S3Server, access_key: str, secret_key: str) -> None:
    """Make a key with the shipped policy on MinIO's own front end."""
    provider = StaticProvider(server.access_key, server.secret_key)
    admin = MinioAdmin(endpoint=server.endpoint, credentials=provider, secure=False)
    admin.user_add(access_key=access_key, secret_key=secret_key)
    admin.policy_add(policy_name=access_key, policy=json.loads(POLICY.read_text()))
    admin.policy_set(policy_name=access_key, user=access_key)


def workers_environment(broker: NatsServer, database: GuardedDatabase, store: GuardedStore) -> dict[str, str]:
    """Return the settings of a worker that may do what it needs, in all three places, and nothing else."""
    return clean_environment() | {
        "FACEMATCH_NATS_URL": broker.url,
        "FACEMATCH_NATS_USER": "worker",
        "FACEMATCH_NATS_PASSWORD": PASSWORDS["worker"],
        "FACEMATCH_DATABASE_URL": database.worker_url,
        "FACEMATCH_S3_ENDPOINT": store.endpoint,
        "FACEMATCH_S3_ACCESS_KEY": store.access_key,
        "FACEMATCH_S3_SECRET_KEY": store.secret_key,
    }
