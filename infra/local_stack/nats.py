"""A NATS server with JetStream."""

import json
import os
from http import HTTPStatus
from pathlib import Path

import urllib3

from infra.local_stack.process import ServerProcess, free_port, program


class NatsServer:
    """One server on a fixed loopback port, so that clients find it again after a restart.

    Its streams may take ``file_store`` on the disk; ``extra`` is more of its configuration.
    """

    def __init__(self, folder: Path, *, sync_always: bool = False, file_store: str = "4GB", extra: str = "") -> None:
        self._folder = folder
        self._port, self._monitoring_port = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        sync = "sync_interval: always" if sync_always else ""
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self._port}"\nhttp: "127.0.0.1:{self._monitoring_port}"\n'
            f"jetstream {{ store_dir: {json.dumps(str(folder / 'js'))}, max_file_store: {file_store}, "
            f"max_memory_store: 256MB\n{sync} }}\n{extra}\n"
        )
        self._process = ServerProcess("nats-server", folder / "nats.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def monitoring_url(self) -> str:
        """Where its state can be read over HTTP."""
        return f"http://127.0.0.1:{self._monitoring_port}"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start and return once JetStream is ready."""
        self._process.start(
            [program("nats-server"), "-c", str(self._folder / "nats.conf")],
            environment={"PATH": os.defpath},
            ready=self._ready,
        )

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def kill(self) -> None:
        """Crash it."""
        self._process.kill()

    def _ready(self) -> bool:
        try:
            answer = urllib3.request(
                "GET", f"{self.monitoring_url}/healthz?js-enabled-only=true", timeout=1, retries=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == HTTPStatus.OK
