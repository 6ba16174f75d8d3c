"""An operator with one account and one user: what a server with JWT authentication trusts."""

import base64
import hashlib
import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
_ANY = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


class Identity:
    """A key pair of NATS's own kind; ``kind`` is operator, account or user."""

    def __init__(self, kind: str) -> None:
        nkeys = import_module("nkeys")
        prefixes = {
            "operator": nkeys.PREFIX_BYTE_OPERATOR,
            "account": nkeys.PREFIX_BYTE_ACCOUNT,
            "user": nkeys.PREFIX_BYTE_USER,
        }
        self.kind = kind
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), prefixes[kind])
        self._pair = nkeys.from_seed(bytearray(self.seed))

    @property
    def public(self) -> str:
        """The public key."""
        return str(self._pair.public_key.decode())

    def issue(self, subject: "Identity", **claims: Any) -> str:
        """Return a JWT that says something of somebody."""
        document = {
            "iat": int(time.time()),
            "iss": self.public,
            "sub": subject.public,
            "name": subject.kind,
            "nats": {"type": subject.kind, "version": 2, **claims},
        }
        digest = hashlib.new("sha512_256", json.dumps(document).encode()).digest()
        document["jti"] = base64.b32encode(digest).decode().rstrip("=")
        signed = f"{_encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encoded(document)}"
        return f"{signed}.{_base64(self._pair.sign(signed.encode()))}"


def _encoded(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def trusting_server_and_credentials(folder: Path) -> tuple[str, Path]:
    """Return the configuration of a server, and the file that its only user connects with."""
    operator, account, system, user = (Identity(kind) for kind in ("operator", "account", "account", "user"))
    operator_jwt = operator.issue(operator, system_account=system.public)
    account_jwt = operator.issue(account, limits={**_ANY, **_JETSTREAM})
    system_jwt = operator.issue(system, limits=_ANY)
    user_jwt = account.issue(user, subs=-1, data=-1, payload=-1)
    credentials = folder / "user.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    configuration = (
        f"operator: {operator_jwt}\nsystem_account: {system.public}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {account.public}: {account_jwt}, {system.public}: {system_jwt} }}\n"
    )
    return configuration, credentials
