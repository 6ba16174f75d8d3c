"""Photographs in an S3 server, fetched by the minio SDK in threads."""

import asyncio
from http import HTTPStatus
from pathlib import Path
from xml.etree.ElementTree import ParseError

import attrs
import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.helpers import check_bucket_name, check_object_name
from urllib3.response import BaseHTTPResponse

from adapters.object_store.errors import ObjectForbiddenError, StorageRefusedError
from adapters.object_store.threads import in_thread
from adapters.object_store.transport import Transfer, Transport, carried_by
from adapters.object_store.witnesses import Size, Witnesses
from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef

_GONE = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion"}
_IMPOSSIBLE = {
    "InvalidBucketName",
    "InvalidObjectName",
    "InvalidURI",
    "KeyTooLongError",
    "XMinioInvalidObjectName",
    "XMinioInvalidResourceName",
}
_FORBIDDEN = {"AccessDenied", "InvalidObjectState", "AllAccessDisabled"}
_REFUSED = {
    "AccountProblem",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
PROBE_KEY = ".facematch-probe"
"""The name of an object that hardly exists."""


@attrs.frozen
class StoreOptions:
    """Where the server is, and how long it may take.

    ``connections`` fetches run at once, each in a thread. A connection is made within ``connect_seconds``, no pause
    between two bytes is longer than ``read_seconds``, and a fetch takes ``deadline_seconds`` in all, however slowly
    bytes trickle in.
    """

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


class MinioPhotoStore:
    """Fetches once; :class:`adapters.object_store.retrying.RetryingPhotoStore` makes more of that.

    A fetch that is cancelled, or whose time is over, has its connection shut, so that its thread ends.
    Objects come as they are stored: a ``Content-Encoding`` that somebody gave them is not undone.
    """

    def __init__(self, options: StoreOptions, witnesses: Witnesses | None = None) -> None:
        self._options = options
        self._witnesses = witnesses
        self._client = _make_client(options)
        self._slots = asyncio.Semaphore(options.connections)
        self._transfers: set[Transfer] = set()
        self._closed = False

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Do as the port says, and what the server refuses raise as :class:`StorageRefusedError`.

        The witnesses are told what came of it; a refusal says nothing of other objects.
        """
        if self._closed:
            raise StorageUnavailableError("the object store's client is closed")
        transfer = Transfer()
        self._transfers.add(transfer)
        try:
            async with asyncio.timeout(self._options.deadline_seconds), self._slots:
                content = await in_thread(lambda: self._get(ref, max_bytes, transfer))
        except StorageRefusedError:
            raise
        except StorageUnavailableError as error:
            was_slow = isinstance(error.__cause__, urllib3.exceptions.ReadTimeoutError)
            self._did_not_come(ref, Size(transfer.announced if was_slow else 0, max_bytes))
            raise
        except TimeoutError as error:
            self._did_not_come(ref, Size(transfer.announced, max_bytes))
            raise self._unavailable(f"{ref} did not come within {self._options.deadline_seconds:g} s") from error
        except asyncio.CancelledError:
            self._did_not_come(ref, Size(transfer.announced, max_bytes))
            raise
        finally:
            self._transfers.discard(transfer)
            transfer.cut()
        if self._witnesses is not None:
            self._witnesses.came(ref, Size(len(content), max_bytes))
        return content

    def _did_not_come(self, ref: ImageRef, size: Size) -> None:
        if self._witnesses is not None:
            self._witnesses.failed(ref, size)

    def close(self) -> None:
        """Cut what is going on and refuse what comes; waits for nothing."""
        self._closed = True
        for transfer in self._transfers:
            transfer.cut()

    def _get(self, ref: ImageRef, max_bytes: int, transfer: Transfer) -> bytes:
        _check_names(ref)
        with carried_by(transfer):
            try:
                response = self._client.get_object(ref.bucket, ref.key)
                try:
                    if response.status != HTTPStatus.OK:  # the SDK takes some others for successes
                        raise self._unavailable(f"{ref}: HTTP {response.status} is no answer to such a request")
                    return _read(response, ref, max_bytes, transfer)
                finally:
                    response.close()
                    response.release_conn()
            except S3Error as error:
                raise self._of_code(error, ref) from error
            except (ServerError, InvalidResponseError, ParseError, UnicodeDecodeError) as error:
                raise self._unavailable(f"{ref}: the answer is not that of an S3 server{_status(error)}") from error
            except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._unavailable(f"{ref}: {_brief(error)}") from error

    def _of_code(self, error: S3Error, ref: ImageRef) -> Exception:
        code = error.code
        if code in _GONE:
            return ImageNotFoundError(f"there is no {ref} ({code})")
        if code in _IMPOSSIBLE:
            return ImageNotFoundError(f"{ref} cannot be a name in the object store ({code})")
        where = f"object store {self._options.endpoint}"
        if code in _FORBIDDEN:
            return ObjectForbiddenError(f"{where}: {ref} may not be read with these credentials ({code})")
        if code in _REFUSED:
            return StorageRefusedError(f"{where} refuses these credentials or settings ({code})")
        return self._unavailable(f"{ref}: {code or 'an error without a code'}")

    def _unavailable(self, what: str) -> StorageUnavailableError:
        return StorageUnavailableError(f"object store {self._options.endpoint}, {what}")


class ObjectStoreDependency:
    """Whether the server answers signed requests, within ``seconds``.

    It is asked for an object that hardly exists: the very request that jobs make, so that credentials which may do
    nothing else are enough. That there is no such object or bucket, or that it may not be read, are the answers of a
    server that is up; a job that needs more fails by itself. A refusal of the credentials, a fault or silence is an
    outage, and so is it when there are no credentials and the server wants some: a bucket that everybody may read
    must let everybody list it, too.

    A server that answers may still give nobody a photograph, or too slowly. So the ``witnesses`` are heard as well,
    with the time that jobs have.
    """

    name = "object store"

    def __init__(
        self, options: StoreOptions, bucket: str, witnesses: Witnesses | None = None, *, seconds: float = 5.0
    ) -> None:
        self._ref = ImageRef(bucket, PROBE_KEY)
        self._anonymous = not options.access_key
        self._store = MinioPhotoStore(attrs.evolve(options, connections=1, deadline_seconds=seconds))
        self._witnesses = witnesses
        self._photographs = MinioPhotoStore(attrs.evolve(options, connections=2))

    async def check(self) -> None:
        """Return when the server answers in time; raise StorageUnavailableError saying why not."""
        await self._ask_the_server()
        if self._witnesses is not None:
            await self._witnesses.hear(self._photographs)

    def close(self) -> None:
        """Cut a check that is going on."""
        self._store.close()
        self._photographs.close()

    async def _ask_the_server(self) -> None:
        try:
            await self._store.fetch(self._ref, max_bytes=0)
        except (ImageNotFoundError, ImageTooLargeError):
            return
        except ObjectForbiddenError as error:
            if self._anonymous:
                raise StorageUnavailableError(f"{error}; there are none") from error


def _make_client(options: StoreOptions) -> Minio:
    return Minio(
        options.endpoint,
        access_key=options.access_key,
        secret_key=options.secret_key,
        secure=options.secure,
        region=options.region,  # without it, the SDK asks for each bucket's
        http_client=Transport(
            connections=options.connections,
            timeout=urllib3.Timeout(connect=options.connect_seconds, read=options.read_seconds),
            certificates=str(options.ca) if options.ca else certifi.where(),
        ),
    )


def _check_names(ref: ImageRef) -> None:
    """Refuse what the SDK would refuse, apart from every other ValueError that it may raise."""
    try:
        check_bucket_name(ref.bucket)
        check_object_name(ref.key)
    except ValueError as error:
        raise ImageNotFoundError(f"{ref} cannot be a name in the object store") from error


def _read(response: BaseHTTPResponse, ref: ImageRef, max_bytes: int, transfer: Transfer) -> bytes:
    """Return the body; where its length is announced, it is read in one piece and copied nowhere."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit():
        transfer.announced = int(announced)
    if transfer.announced > max_bytes:
        raise ImageTooLargeError(f"{ref} has {announced} bytes, more than {max_bytes}")
    pieces: list[bytes] = []
    room = max_bytes + 1
    while room > 0 and (piece := response.read(room, decode_content=False)):
        pieces.append(piece)
        room -= len(piece)
    if room <= 0:
        raise ImageTooLargeError(f"{ref} has more than {max_bytes} bytes")
    return b"".join(pieces)


def _status(error: Exception) -> str:
    if isinstance(error, ServerError):
        return f" (HTTP {error.status_code})"
    if isinstance(error, InvalidResponseError):
        return f" (HTTP {error._code})"  # noqa: SLF001 - the SDK tells it in its text only, together with the body
    return ""


def _brief(error: BaseException) -> str:
    """Say what happened without URLs, which may hold signatures: the error's type and the system's word for it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__} ({cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
