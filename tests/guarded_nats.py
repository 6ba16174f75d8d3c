"""A NATS server with the users and permissions that are shipped."""

import json
import shutil
from pathlib import Path
from typing import Final

from infra.local_stack.nats import NatsServer

SHIPPED: Final = Path("infra/nats")
AUDITOR: Final = "sees-everything"
"""The password of a user for tests, who may do everything."""
PASSWORDS: Final = {"worker": "secret-of-the-worker", "application": "1-more-secret", "operator": "another"}


def lay_out(folder: Path) -> None:
    """Put what is shipped into the server's folder, and passwords beside it."""
    folder.mkdir()
    for file in ("nats.conf", "permissions.conf"):
        shutil.copy(SHIPPED / file, folder / file)
    lines = [f"{user.upper()}_PASSWORD: {json.dumps(password)}\n" for user, password in PASSWORDS.items()]
    (folder / "passwords.conf").write_text("".join(lines))


def guarded_server(folder: Path) -> NatsServer:
    """Return a server that knows who may do what, not yet started; beside the shipped users there is an auditor."""
    lay_out(folder)
    (folder / "nats.conf").unlink()
    permissions = folder / "permissions.conf"
    auditor = f"{{ user: auditor, password: {json.dumps(AUDITOR)} }}"
    permissions.write_text(permissions.read_text().replace("users: [", f"users: [\n{auditor}"))
    return NatsServer(folder, sync_always=True, extra='include "permissions.conf"')


def url(server: NatsServer, user: str) -> str:
    """Return where to connect, and as whom."""
    return server.url.replace("://", f"://{user}:{(PASSWORDS | {'auditor': AUDITOR})[user]}@")
