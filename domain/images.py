"""Where a photograph lies: the parsed ``image_ref`` and the policy of what may be fetched."""

import re
import unicodedata
from collections.abc import Collection

import attrs

from domain.errors import JobRejectedError
from domain.outcomes import Reason

_SCHEME = "minio://"
_MAX_KEY_BYTES = 1024  # the S3 API's limit on a key's UTF-8 form
_NEVER = {"Cc", "Cs"}  # control characters and lone surrogates
_SEPARATOR = re.compile(r"[/\\]")  # a store on a file system may take either for one, and trim what is between


class InvalidImageRefError(JobRejectedError):
    """An image reference that cannot be parsed or points where this service may not look."""

    reason = Reason.INVALID_IMAGE_REF


class BucketNotAllowedError(InvalidImageRefError):
    """An image reference with which nothing is wrong but that its bucket is not among those that may be read."""


@attrs.frozen
class ImageRef:
    """One object in one bucket."""

    bucket: str
    key: str

    def __str__(self) -> str:
        """Return the canonical form ``minio://BUCKET/KEY``."""
        return f"{_SCHEME}{self.bucket}/{self.key}"


@attrs.frozen
class ImageRefPolicy:
    """Which references are accepted: the default bucket for bare keys, and the buckets that are allowed."""

    default_bucket: str
    allowed_buckets: frozenset[str]

    @classmethod
    def of(cls, default_bucket: str, allowed_buckets: Collection[str] = ()) -> "ImageRefPolicy":
        """Allow the default bucket when no other list is given."""
        return cls(default_bucket, frozenset(allowed_buckets) or frozenset({default_bucket}))

    def parse(self, text: str) -> ImageRef:
        """Return the reference, or raise :class:`InvalidImageRefError` saying what is wrong with it."""
        if any(unicodedata.category(character) in _NEVER for character in text):
            raise InvalidImageRefError("image_ref holds control characters or lone surrogates")
        if text.startswith(_SCHEME):
            bucket, _, key = text.removeprefix(_SCHEME).partition("/")
        elif "://" in text:
            raise InvalidImageRefError(
                f"image_ref has a scheme other than {_SCHEME}: write {_SCHEME}BUCKET/KEY, whatever the server, or KEY"
            )
        else:
            bucket, key = self.default_bucket, text
        if "@" in bucket:
            raise InvalidImageRefError("image_ref has an @ where its bucket is named: credentials do not belong there")
        if not bucket:
            raise InvalidImageRefError("image_ref names no bucket")
        self._check_key(key)
        if bucket not in self.allowed_buckets:
            raise BucketNotAllowedError(
                f"image_ref names bucket {bucket[:80]!r}, which may not be read: correct it, or add the bucket to the "
                "allowed buckets"
            )
        return ImageRef(bucket, key)

    @staticmethod
    def _check_key(key: str) -> None:
        if not key or key.isspace():
            raise InvalidImageRefError("image_ref has no key")
        if len(key.encode()) > _MAX_KEY_BYTES:
            raise InvalidImageRefError(f"image_ref has a key of more than {_MAX_KEY_BYTES} bytes")
        parts = _SEPARATOR.split(key)
        if not parts[0] or any(part.strip() in {".", ".."} for part in parts):
            raise InvalidImageRefError("image_ref has a key with an absolute or relative path")
