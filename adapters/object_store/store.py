"""Photographs in an S3 server, fetched by the minio SDK in threads."""

import asyncio
import time
from pathlib import Path

import attrs
import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.response import BaseHTTPResponse

from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef

_CHUNK_BYTES = 256 * 1024
_PROBE_SECONDS = 3.0
_GONE = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "MethodNotAllowed"}
_IMPOSSIBLE_KEY = {"XMinioInvalidObjectName", "KeyTooLongError", "InvalidBucketName", "InvalidURI", "InvalidObjectName"}
_UP = {"NoSuchBucket", "AccessDenied"}
"""Answers of a server that is there for us, though not for the probe."""


@attrs.frozen
class StoreOptions:
    """Where the server is; a fetch may take ``deadline_seconds`` in all, however slowly bytes trickle in."""

    endpoint: str
    access_key: str | None = attrs.field(default=None, repr=False)
    secret_key: str | None = attrs.field(default=None, repr=False)
    secure: bool = False
    region: str = "us-east-1"
    ca: Path | None = None
    connections: int = 16
    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    deadline_seconds: float = 20.0


def make_client(options: StoreOptions, *, read_seconds: float | None = None) -> Minio:
    """Return a client that tries once, follows no redirects, and never waits for ever."""
    pool = urllib3.PoolManager(
        num_pools=4,
        maxsize=options.connections,
        block=False,
        timeout=urllib3.Timeout(connect=options.connect_seconds, read=read_seconds or options.read_seconds),
        retries=urllib3.Retry(total=False, redirect=False),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(options.ca) if options.ca else certifi.where(),
    )
    return Minio(
        options.endpoint,
        access_key=options.access_key,
        secret_key=options.secret_key,
        secure=options.secure,
        region=options.region,
        http_client=pool,
    )


class MinioPhotoStore:
    """One try for each fetch; see :class:`adapters.object_store.retrying.RetryingPhotoStore` for more."""

    def __init__(self, options: StoreOptions) -> None:
        self._client = make_client(options)
        self._deadline_seconds = options.deadline_seconds

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Get the object in a thread."""
        return await asyncio.to_thread(self._get, ref, max_bytes)

    def _get(self, ref: ImageRef, max_bytes: int) -> bytes:
        try:
            response = self._client.get_object(ref.bucket, ref.key)
        except S3Error as error:
            raise _of_code(error, ref) from error
        except ValueError as error:  # the SDK refuses the name before any request
            raise ImageNotFoundError(f"{ref} cannot be a name in the object store") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise StorageUnavailableError(f"object store: {_brief(error)}") from error
        try:
            return self._read(response, ref, max_bytes)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StorageUnavailableError(f"object store, reading {ref}: {_brief(error)}") from error
        finally:
            response.close()
            response.release_conn()

    def _read(self, response: BaseHTTPResponse, ref: ImageRef, max_bytes: int) -> bytes:
        deadline = time.monotonic() + self._deadline_seconds
        announced = response.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > max_bytes:
            raise ImageTooLargeError(f"{ref} has {announced} bytes, more than {max_bytes}")
        content = bytearray()
        while chunk := response.read(min(_CHUNK_BYTES, max_bytes + 1 - len(content))):
            content += chunk
            if len(content) > max_bytes:
                raise ImageTooLargeError(f"{ref} has more than {max_bytes} bytes")
            if time.monotonic() > deadline:
                raise StorageUnavailableError(
                    f"object store, reading {ref}: {len(content)} bytes in {self._deadline_seconds:g} s is too slow"
                )
        if announced.isdigit() and len(content) < int(announced):
            raise StorageUnavailableError(f"object store, reading {ref}: {len(content)} of {announced} bytes came")
        return bytes(content)


class ObjectStoreDependency:
    """Whether the server answers signed requests."""

    name = "object store"

    def __init__(self, options: StoreOptions, bucket: str) -> None:
        self._client = make_client(options, read_seconds=_PROBE_SECONDS)
        self._bucket = bucket

    async def check(self) -> None:
        """List at most one key of the default bucket."""
        await asyncio.to_thread(self._check)

    def _check(self) -> None:
        try:
            next(iter(self._client.list_objects(self._bucket)), None)
        except S3Error as error:
            if error.code not in _UP:
                raise StorageUnavailableError(f"object store: {error.code}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise StorageUnavailableError(f"object store: {_brief(error)}") from error


def _of_code(error: S3Error, ref: ImageRef) -> Exception:
    if error.code in _GONE:
        return ImageNotFoundError(f"there is no {ref} ({error.code})")
    if error.code in _IMPOSSIBLE_KEY:
        return ImageNotFoundError(f"{ref} cannot be a name in the object store ({error.code})")
    return StorageUnavailableError(f"object store, {ref}: {error.code}")


def _brief(error: Exception) -> str:
    """Say what happened without URLs, which may hold signatures."""
    if isinstance(error, ServerError | InvalidResponseError):
        return f"unexpected answer ({type(error).__name__})"
    reason = getattr(error, "reason", None) or error
    return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__
