"""What must never leave the process in a log line or a span: secrets, embeddings, image bytes."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from domain.redaction import MASK, redact

_SHORTEST_SECRET = 4
_LONGEST_TEXT = 32_768
_MARGIN = 1024
"""So much more of a longer text is looked at: what is cut in two could not be told."""


class Redactor:
    """Masks these secrets wherever they stand, and what looks like a secret or an embedding.

    They are known in the forms that URLs, JSON and Python give them. A secret of fewer than four characters is not
    looked for: it would be found everywhere.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        known = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
        self._secrets = sorted(known, key=len, reverse=True)  # one may be a part of another
        self._margin = max([_MARGIN, *map(len, self._secrets)])

    def text(self, text: str) -> str:
        """Return the text without what it must not show, and not endlessly long."""
        if len(text) <= _LONGEST_TEXT:
            return self._masked(text)
        return f"{self._masked(text[: _LONGEST_TEXT + self._margin])[: -self._margin]}... ({len(text)} characters)"

    def value(self, value: Any) -> Any:  # noqa: ANN401, PLR0911 - log records hold anything, and each kind is its own case
        """Return the value as something that JSON can hold, with every text in it cleaned."""
        match value:
            case None | bool() | int():
                return value
            case str():
                return self.text(value)
            case bytes() | bytearray() | memoryview():
                return f"({len(value)} bytes)"
            case dict():
                return {self.text(str(key)): self.value(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case float() if math.isfinite(value):
                return value
        return self.text(str(value))

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact(text)


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it is, and as others write it."""
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
