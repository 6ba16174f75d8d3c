"""A NATS credentials file: the user's JWT, and the seed that signs the server's challenge."""

import base64
import re
from importlib import import_module
from pathlib import Path

import attrs

_JWT = re.compile(rb"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(rb"-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+")


class CredentialsFileError(OSError):
    """The file cannot be read, or holds no credentials."""


@attrs.frozen
class CredentialsFile:
    """Read again at every connection, so that it may be replaced while the service runs.

    nats-py would read the file as well, but for ever where it holds no JWT. The library that signs, ``nkeys``, is
    imported only where there is such a file.
    """

    path: Path

    def jwt(self) -> bytes:
        """Return the user's JWT."""
        return self._find(_JWT, "user JWT")

    def sign(self, nonce: str) -> bytes:
        """Return the signature of the server's challenge, in base64."""
        nkeys = import_module("nkeys")
        seed = bytearray(self._find(_SEED, "nkey seed"))
        try:
            signature = nkeys.from_seed(seed).sign(nonce.encode())
        except (nkeys.NkeysError, ValueError) as error:
            raise CredentialsFileError(f"credentials file {self.path} holds a seed that is none") from error
        return base64.b64encode(signature)

    def _find(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        try:
            found = pattern.search(self.path.read_bytes())
        except OSError as error:
            raise CredentialsFileError(f"credentials file {self.path}: {error.strerror}") from error
        if found is None:
            raise CredentialsFileError(f"credentials file {self.path} holds no {what}")
        return found[1]


def check_credentials(path: Path) -> None:
    """Do nothing with a file that says who somebody is.

    Raises:
        ValueError: it does not.

    """
    file = CredentialsFile(path)
    try:
        file.jwt()
        file.sign("a challenge")
    except CredentialsFileError as error:
        raise ValueError("expected a credentials file of NATS, with a user's JWT and nkey seed") from error
