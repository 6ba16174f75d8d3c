"""PgBouncer before a PostgreSQL server: it brings the TLS that the embedded server's build lacks, and pools."""

import os
from pathlib import Path
from typing import Final, Self

import psycopg

from infra.local_stack.process import ServerProcess, free_port
from tests.certificates import Certificate
from tests.debian import Program

_NOBODY: Final = "nobody"
"""PgBouncer refuses to run as root."""


class PgBouncer:
    """One pooler in transaction mode that speaks TLS alone; ``connections`` to the server serve every client.

    ``upstream`` is the host and port of the server, ``users`` their passwords.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        upstream: tuple[str, int],
        users: dict[str, str],
        certificate: Certificate,
        *,
        connections: int = 1,
    ) -> None:
        self.port = free_port()
        self._program = program
        self._folder = folder
        self._process = ServerProcess("pgbouncer", folder / "pgbouncer.log")
        host, port = upstream
        (folder / "users.txt").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={host} port={port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {connections}\nserver_tls_sslmode = disable\n"
            f"client_tls_sslmode = require\nclient_tls_key_file = {certificate.key}\n"
            f"client_tls_cert_file = {certificate.certificate}\n"
        )
        for file in (folder / "users.txt", folder / "pgbouncer.ini", certificate.key):
            file.chmod(0o644)

    def __enter__(self) -> Self:
        command = [self._program.path, *(["-u", _NOBODY] if os.geteuid() == 0 else [])]
        self._process.start(
            [*command, str(self._folder / "pgbouncer.ini")], environment=self._program.environment, ready=self._ready
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def _ready(self) -> bool:
        """Tell whether it answers: that it wants TLS, or that it knows no such user."""
        try:
            psycopg.connect(f"host=127.0.0.1 port={self.port} user=nobody dbname=none", connect_timeout=2).close()
        except psycopg.OperationalError as error:
            return "refused" not in str(error)
        return True
