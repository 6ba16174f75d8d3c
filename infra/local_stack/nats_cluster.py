"""Several NATS servers that keep every stream together."""

from http import HTTPStatus
from pathlib import Path

import urllib3

from infra.local_stack.nats import NatsServer
from infra.local_stack.process import free_port


class NatsCluster:
    """Servers ``n1``, ``n2`` and so on, joined by routes on loopback; a majority of them does all work."""

    def __init__(self, folder: Path, *, size: int = 3) -> None:
        ports = [free_port() for _ in range(size)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.servers = {
            f"n{number}": NatsServer(
                folder / f"n{number}",
                extra=f"server_name: n{number}\n"
                f'cluster {{ name: facematch, listen: "127.0.0.1:{port}", routes: [{routes}] }}',
            )
            for number, port in enumerate(ports, 1)
        }

    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [server.url for server in self.servers.values()]

    @property
    def healthy(self) -> bool:
        """Whether each server runs, and has all that the others have."""
        return all(_is_healthy(server) for server in self.servers.values())

    def start(self) -> None:
        """Start all; they agree on a leader within seconds, see :attr:`healthy`."""
        for server in self.servers.values():
            server.start()

    def stop(self) -> None:
        """End all at once; asked politely, each would first hand over to the others, which takes seconds."""
        for server in self.servers.values():
            server.kill()


def _is_healthy(server: NatsServer) -> bool:
    try:
        answer = urllib3.request("GET", f"{server.monitoring_url}/healthz", timeout=2, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == HTTPStatus.OK
