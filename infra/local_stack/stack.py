"""The three servers together."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local_stack.interruption import undisturbed
from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer, binaries
from infra.local_stack.process import program
from infra.local_stack.s3 import S3Server


class LocalStack:
    """NATS, PostgreSQL and S3 in one temporary folder on loopback; all gone when the block ends.

    ``progress`` is called with each server's name once it is ready.
    """

    def __init__(self, *, progress: Callable[[str], None] = lambda _: None, durable: bool = True) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="facematch-"))
        self._folder.chmod(0o711)
        self._progress = progress
        self._cleanup = ExitStack()
        self.nats = NatsServer(self._folder / "nats", sync_always=durable)
        self.postgres = PostgresServer(self._folder / "postgres", durable=durable)
        self.s3 = S3Server(self._folder / "s3")

    @staticmethod
    def check_installed() -> None:
        """Raise :class:`infra.local_stack.process.ServerError` where a server's program is missing."""
        binaries()
        for name in ("nats-server", "juicefs"):
            program(name)

    def __enter__(self) -> Self:
        self._cleanup.callback(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            # a server dies with the thread that started it, so the threads live as long as the stack
            pool = self._cleanup.enter_context(ThreadPoolExecutor(len(self._parts())))
            for future in [pool.submit(self._start, *part) for part in self._parts()]:
                future.result()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clean_up()

    def environment(self, database: str) -> dict[str, str]:
        """Return the settings of a service on these servers."""
        return {
            "FACEMATCH_NATS_URL": self.nats.url,
            "FACEMATCH_S3_ENDPOINT": self.s3.endpoint,
            "FACEMATCH_S3_ACCESS_KEY": self.s3.access_key,
            "FACEMATCH_S3_SECRET_KEY": self.s3.secret_key,
            "FACEMATCH_DATABASE_URL": self.postgres.url(database),
        }

    def _parts(self) -> list[tuple[str, NatsServer | PostgresServer | S3Server]]:
        return [("PostgreSQL with pgvector", self.postgres), ("S3", self.s3), ("NATS with JetStream", self.nats)]

    def _clean_up(self) -> None:
        with undisturbed():
            self._cleanup.close()

    def _start(self, name: str, server: NatsServer | PostgresServer | S3Server) -> None:
        self._cleanup.callback(server.stop)
        server.start()
        self._progress(name)
