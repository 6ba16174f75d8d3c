"""An S3 server: the JuiceFS gateway, which answers with MinIO's own S3 front end."""

import os
import secrets
import subprocess
from io import BytesIO
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from infra.local_stack.process import ServerError, ServerProcess, free_port, program

_PROBE_BUCKET = "readiness-probe"


class S3Server:
    """One gateway over a folder, on a fixed loopback port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.access_key, self.secret_key = secrets.token_hex(6), secrets.token_hex(12)
        self._process = ServerProcess("juicefs gateway", folder / "s3.log")

    @property
    def endpoint(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self._port}"

    def client(self) -> Minio:
        """Return a client with all rights."""
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=20), retries=False, maxsize=16)
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Format the folder once, start, and return once an object can be stored."""
        self._folder.mkdir(parents=True, exist_ok=True)
        database = f"sqlite3://{self._folder / 'meta.db'}"
        environment = {
            "PATH": os.defpath,
            "HOME": str(self._folder),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
        }
        if not (self._folder / "meta.db").exists():
            self._format(database, environment)
        command = [program("juicefs"), "--no-agent", "gateway", "--multi-buckets", "--keep-etag", "--object-tag"]
        command += ["--object-meta", "--no-usage-report", "--no-banner", "--backup-meta", "0"]
        command += ["--cache-dir", str(self._folder / "cache"), "--log", str(self._folder / "gateway.log")]
        command += ["--metrics", "127.0.0.1:0", database, self.endpoint]
        self._process.start(command, environment=environment, ready=self._ready)

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def kill(self) -> None:
        """Crash it."""
        self._process.kill()

    def _format(self, database: str, environment: dict[str, str]) -> None:
        command = [program("juicefs"), "--no-agent", "format", "--storage", "file", "--bucket"]
        command += [f"{self._folder / 'data'}/", "--trash-days", "0", database, "facematch"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"juicefs format ended with {done.returncode}:\n{done.stderr[-2000:]}")

    def _ready(self) -> bool:
        client = self.client()
        try:
            if not client.bucket_exists(_PROBE_BUCKET):
                client.make_bucket(_PROBE_BUCKET)
            client.put_object(_PROBE_BUCKET, "ready", BytesIO(b"yes"), 3)
            client.remove_object(_PROBE_BUCKET, "ready")
            client.remove_bucket(_PROBE_BUCKET)
        except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError):
            return False
        return True
