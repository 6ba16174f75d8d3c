"""Another S3 server, SeaweedFS: what works on two servers is not one server's habit."""

import json
import os
import secrets
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from infra.local_stack.process import ServerProcess, free_port, program

_PROBE_BUCKET = "readiness-probe"
_PORT_FLAGS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
_MORE_PORT_FLAGS = ("admin.port", "admin.port.grpc", "s3.port.grpc")


class SeaweedServer:
    """One server on a fixed loopback port, with identities that may read only: everything, or one bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.access_key, self.secret_key = "facematch", secrets.token_hex(12)
        self.reader_access_key, self.reader_secret_key = "reader", secrets.token_hex(12)
        self.worker_access_key, self.worker_secret_key = "worker", secrets.token_hex(12)
        self._process = ServerProcess("weed mini", folder / "weed.log")

    @property
    def endpoint(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self._port}"

    def client(self) -> Minio:
        """Return a client with all rights."""
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
            http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=20), retries=False),
        )

    def start(self) -> None:
        """Start and return once an object can be stored."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": self._identities()}))
        command = [program("weed"), "mini", f"-dir={self._folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-{flag}={free_port()}" for flag in (*_PORT_FLAGS, *_MORE_PORT_FLAGS)]
        command += [f"-s3.port={self._port}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}"]
        command += ["-webdav=false", "-admin.ui=false", "-s3.autoCreateBucket=false", "-master.telemetry=false"]
        command += [f"-filer.localSocket={self._folder / 'f.sock'}", f"-s3.localSocket={self._folder / 's.sock'}"]
        (self._folder / "data").mkdir(exist_ok=True)
        self._process.start(
            command, environment={"PATH": os.defpath, "HOME": str(self._folder)}, ready=self._ready, patience=90
        )

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def kill(self) -> None:
        """Crash it."""
        self._process.kill()

    def _identities(self) -> list[dict[str, object]]:
        def identity(name: str, key: str, secret: str, actions: list[str]) -> dict[str, object]:
            return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}

        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        return [
            identity("admin", self.access_key, self.secret_key, everything),
            identity("reader", self.reader_access_key, self.reader_secret_key, ["Read", "List"]),
            identity("worker", self.worker_access_key, self.worker_secret_key, ["Read:images", "List:images"]),
        ]

    def _ready(self) -> bool:
        try:
            answer = urllib3.request("GET", f"http://{self.endpoint}/healthz", timeout=1, retries=False)
            if answer.status != HTTPStatus.OK:
                return False
            client = self.client()
            if not client.bucket_exists(_PROBE_BUCKET):
                client.make_bucket(_PROBE_BUCKET)
            client.put_object(_PROBE_BUCKET, "ready", BytesIO(b"yes"), 3)
        except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError):
            return False
        return True
