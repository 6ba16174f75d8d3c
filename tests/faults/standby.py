"""A second PostgreSQL server that follows the first, and can take its place."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from infra.local_stack.postgres import PostgresServer, binaries


class Standby(PostgresServer):
    """A hot standby: read-only until it is promoted. Every commit on the primary waits for it once it follows."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        super().__init__(folder)
        self._primary = primary
        self._password = urlsplit(primary.url()).password or ""

    def follow(self, database: str) -> None:
        """Start, and let nothing be confirmed in that database of the primary that is not here as well."""
        self.start()
        with psycopg.connect(self._primary.url(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
            admin.execute(
                sql.SQL("ALTER DATABASE {} SET synchronous_commit = 'remote_apply'").format(sql.Identifier(database))
            )

    def promote(self) -> None:
        """Take writes from now on."""
        with psycopg.connect(self.url(), autocommit=True) as admin:
            admin.execute("SELECT pg_promote()")

    def _init(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        prefix, user = self._disguise()
        self._data.mkdir(mode=0o700)
        if user is not None:
            os.chown(self._data, user, user)
        command = [*prefix, str(binaries() / "pg_basebackup"), "-D", str(self._data), "-d", self._primary.url()]
        command += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        subprocess.run(
            command,
            env=self._environment(),
            check=True,
            capture_output=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def _check_vectors(self) -> None:
        """Write nothing."""
