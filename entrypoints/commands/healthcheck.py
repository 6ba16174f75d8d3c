"""``healthcheck``: ask a running worker how it is; made to be called often."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Annotated

import typer

from entrypoints.settings import WorkerSettings
from entrypoints.terminal.console import fail, load_some, out

_SECONDS = 5
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to listen on, and where to reach them


def healthcheck(
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it takes jobs (/readyz instead of /livez).")
    ] = False,
) -> None:
    """Ask the worker on this machine whether it is alive."""
    host, port = load_some(WorkerSettings).health_address
    connection = HTTPConnection(_ANY.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz" if ready else "/livez")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        fail(f"no worker answers at {host}:{port} ({error})")
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        fail(body)
    try:
        out.print_json(body)
    except json.JSONDecodeError:
        fail(f"what answers at {host}:{port} is no worker")
