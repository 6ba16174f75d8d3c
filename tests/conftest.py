"""Real servers for every test that asks, started once a session; fresh databases; real photographs."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from infra.photographs import Photographs

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and consoles made meanwhile would keep it
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process that tests start would compile everything anew
sys.dont_write_bytecode = False
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the slow ones, which come last otherwise, where processes take one module after the other."""
    if hasattr(config, "workerinput"):
        places = {path: place for place, path in enumerate(dict.fromkeys(item.path for item in items))}
        items.sort(key=lambda item: -places[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let reports travel between processes: what was printed of broken text is told by its escapes."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Return a folder that a server running as nobody may enter, unlike those that pytest makes."""
    folder = Path(tempfile.mkdtemp(prefix="facematch-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def nats_server(servers_folder: Path) -> Iterator[NatsServer]:
    """Return a NATS server with JetStream; use stream names of your own."""
    server = NatsServer(servers_folder / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[PostgresServer]:
    """Return a PostgreSQL server with pgvector; use databases of your own."""
    server = PostgresServer(servers_folder / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> str:
    """Return the URL of a new, empty database."""
    return postgres_server.create_database(f"test_{uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def s3_server(servers_folder: Path) -> Iterator[S3Server]:
    """Return an S3 server; use buckets or keys of your own."""
    server = S3Server(servers_folder / "s3")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def seaweed_server(servers_folder: Path) -> Iterator[SeaweedServer]:
    """Return a second S3 server, of another make."""
    server = SeaweedServer(servers_folder / "seaweed")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def photographs() -> Photographs:
    """Return the real photographs, fetched at set-up."""
    return Photographs.fetched()
