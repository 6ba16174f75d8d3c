"""Photographs in an S3 server: requests that the minio SDK signs, made on the event loop."""

import asyncio
import io
import math
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

import aiohttp
import attrs
import certifi
from aiohttp import hdrs
from minio.credentials.credentials import Credentials
from minio.helpers import check_object_name

from adapters.object_store.aws_role import AwsRole
from adapters.object_store.bucket_names import check_bucket_name
from adapters.object_store.causes import brief
from adapters.object_store.errors import (
    ObjectArchivedError,
    ObjectForbiddenError,
    RefusalError,
    StorageRefusedError,
)
from adapters.object_store.requests import SignedRequests
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
_FORBIDDEN = {"AccessDenied", "AllAccessDisabled"}
_ARCHIVED = "InvalidObjectState"
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
_TO_CHECK = {"InvalidAccessKeyId": "FACEMATCH_S3_ACCESS_KEY", "SignatureDoesNotMatch": "FACEMATCH_S3_SECRET_KEY"}
"""Which setting a refusal is about, where the credentials are keys."""
_XML = ("/xml", "+xml")
_MAX_ERROR_BYTES = 64 * 1024
PROBE_KEY = ".facematch-probe"
"""The name of an object that hardly exists."""


@attrs.frozen
class StoreOptions:
    """Where the server is, who asks it, and how long it may take.

    The keys sign the requests, or the ``role``; without either these are anonymous.
    ``connections`` fetches run at once. A connection is made within ``connect_seconds``, no pause
    between two bytes is longer than ``read_seconds``, and a fetch takes ``deadline_seconds`` in all, however slowly
    bytes trickle in.
    """

    endpoint: str
    access_key: str | None = attrs.field(default=None, repr=False)
    secret_key: str | None = attrs.field(default=None, repr=False)
    role: AwsRole | None = None
    secure: bool = False
    region: str = "us-east-1"
    ca: Path | None = None
    connections: int = 16
    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    deadline_seconds: float = 20.0

    async def credentials(self) -> Credentials | None:
        """Return what to sign the next request with; raise StorageRefusedError where the role has nothing now."""
        if self.role is not None:
            return await self.role.credentials()
        return Credentials(self.access_key, self.secret_key or "") if self.access_key else None


class S3PhotoStore:
    """Fetches once; :class:`adapters.object_store.retrying.RetryingPhotoStore` makes more of that.

    A fetch that is cancelled, or whose time is over, has its connection closed. After a failure that may pass, all
    connections are left, and the certificates read anew: behind one address there may be several servers, of which
    these lead to one that fails alone. No redirect is followed. What comes without an ETag, which S3 servers give every
    object, is none: a page of whoever stands before the server. Objects come as they are stored: a ``Content-Encoding``
    that somebody gave them is not undone.
    """

    def __init__(self, options: StoreOptions, witnesses: Witnesses | None = None) -> None:
        self._options = options
        self._witnesses = witnesses
        self._requests = SignedRequests(options.endpoint, options.region, secure=options.secure)
        self._slots = asyncio.Semaphore(options.connections)
        self._session: aiohttp.ClientSession | None = None
        self._left: dict[aiohttp.ClientSession, asyncio.Task[None]] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Do as the port says, and what the server refuses raise as :class:`StorageRefusedError`.

        The witnesses are told what came of it; of a refusal they make their own picture.
        """
        answer = _Answer(ref, max_bytes)
        if self._witnesses is None:
            return await self._fetch(answer)
        try:
            content = await self._fetch(answer)
        except StorageRefusedError:
            raise
        except (StorageUnavailableError, asyncio.CancelledError) as error:
            self._witnesses.failed(ref, Size(answer.announced if _is_slow(error) else 0, max_bytes))
            raise
        self._witnesses.came(ref, Size(len(content), max_bytes))
        return content

    async def close(self) -> None:
        """Cut what is going on and refuse what comes; waits for nothing."""
        self._closed = True
        for closing in self._left.values():
            closing.cancel()
        current, self._session = self._session, None
        for session in (current, *self._left):
            if session is not None:
                await session.close()

    async def _fetch(self, answer: "_Answer") -> bytes:
        if self._closed:
            raise StorageUnavailableError("the object store's client is closed")
        _check_names(answer.ref)
        session = None
        try:
            async with asyncio.timeout(self._options.deadline_seconds), self._slots:
                session = self._session = self._session or self._opened()
                return await self._get(session, answer)
        except StorageRefusedError:
            raise
        except StorageUnavailableError:
            self._abandon_session(session)
            raise
        except TimeoutError as error:
            self._abandon_session(session)
            what = f"{answer.ref} did not come within {self._options.deadline_seconds:g} s"
            raise self._unavailable(what) from error

    def _opened(self) -> aiohttp.ClientSession:
        try:
            return _open_session(self._options)
        except OSError as error:
            raise self._unavailable(f"the certificates in {self._options.ca} cannot be read ({error})") from error

    def _abandon_session(self, session: aiohttp.ClientSession | None) -> None:
        """Let later fetches take other connections, and close these when nobody can be at them any more."""
        if session is not None and session is self._session:
            self._session = None
            self._left[session] = asyncio.create_task(self._close_later(session))

    async def _close_later(self, session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(self._options.deadline_seconds)
        await session.close()
        del self._left[session]

    async def _get(self, session: aiohttp.ClientSession, answer: "_Answer") -> bytes:
        ref = answer.ref
        url, headers = self._requests.get(ref, await self._options.credentials())
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == HTTPStatus.OK and hdrs.ETAG in response.headers:
                    return await answer.read(response)
                refusal = RefusalError(response.status, _code(response, await _read_error(response)))
                raise self._error_for(refusal, ref) from refusal
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise  # the deadline
            where = " (FACEMATCH_S3_ENDPOINT)" if isinstance(error, aiohttp.ClientConnectorError) else ""
            raise self._unavailable(f"{ref}: {brief(error)}{where}") from error

    def _error_for(self, refusal: RefusalError, ref: ImageRef) -> Exception:
        code = refusal.code
        if code is None:
            what = f"HTTP {refusal.status}{', no ETag' if refusal.status == HTTPStatus.OK else ''}"
            return self._unavailable(f"{ref}: the answer is not that of an S3 server ({what})")
        if code in _GONE | _IMPOSSIBLE:
            what = f"there is no {ref}" if code in _GONE else f"{ref} cannot be a name in the object store"
            return ImageNotFoundError(f"{what} ({code})")
        where = f"object store {self._options.endpoint}"
        if code in _FORBIDDEN:
            return ObjectForbiddenError(f"{where}: {ref} may not be read with these credentials ({code})")
        if code == _ARCHIVED:
            return ObjectArchivedError(f"{where}: {ref} lies in an archive and has to be restored first ({code})")
        if code in _REFUSED:
            setting = None if self._options.role else _TO_CHECK.get(code)
            advice = f": check {setting}" if setting else ""
            return StorageRefusedError(f"{where} refuses these credentials or settings ({code}){advice}")
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
        self._anonymous = not (options.access_key or options.role)
        self._store = S3PhotoStore(attrs.evolve(options, connections=1, deadline_seconds=seconds))
        self._witnesses = witnesses
        self._photographs = S3PhotoStore(attrs.evolve(options, connections=2))

    async def check(self) -> None:
        """Return when the server answers in time; raise StorageUnavailableError saying why not."""
        await self._ask_the_server()
        if self._witnesses is not None:
            await self._witnesses.hear(self._photographs)

    async def close(self) -> None:
        """Cut a check that is going on."""
        await self._store.close()
        await self._photographs.close()

    async def _ask_the_server(self) -> None:
        try:
            await self._store.fetch(self._ref, max_bytes=0)
        except (ImageNotFoundError, ImageTooLargeError):
            return
        except ObjectForbiddenError as error:
            if self._anonymous:
                missing = "FACEMATCH_S3_ACCESS_KEY and FACEMATCH_S3_SECRET_KEY are not set"
                raise StorageUnavailableError(f"{error}: {missing}") from error


@attrs.define
class _Answer:
    """What comes for a request; ``announced`` is how many bytes it says that it has, 0 until it does."""

    ref: ImageRef
    max_bytes: int
    announced: int = 0

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body.

        Raises:
            ImageTooLargeError: it has more bytes than it may, or says so.

        """
        self.announced = response.content_length or 0
        if self.announced > self.max_bytes:
            raise ImageTooLargeError(f"{self.ref} has {self.announced} bytes, more than {self.max_bytes}")
        content = io.BytesIO()  # gives its bytes away without a copy of them
        async for piece in response.content.iter_any():
            if content.tell() + len(piece) > self.max_bytes:
                raise ImageTooLargeError(f"{self.ref} has more than {self.max_bytes} bytes")
            content.write(piece)
        return content.getvalue()


def _is_slow(error: BaseException) -> bool:
    """Tell whether time was over: for one try, for all of them, or between two bytes."""
    return isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, TimeoutError)


def _open_session(options: StoreOptions) -> aiohttp.ClientSession:
    trusted = str(options.ca) if options.ca else certifi.where()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=options.connections, ssl=ssl.create_default_context(cafile=trusted) if options.secure else True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "User-Agent"),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=options.connect_seconds, sock_read=options.read_seconds, ceil_threshold=math.inf
        ),
    )
    session._retry_connection = False  # noqa: SLF001 - a try is one request; there is no setting for it
    return session


async def _read_error(response: aiohttp.ClientResponse) -> bytes:
    """Return as much of the body as an error needs."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= _MAX_ERROR_BYTES:
            break
    return bytes(body[:_MAX_ERROR_BYTES])


def _code(response: aiohttp.ClientResponse, body: bytes) -> str | None:
    """Return what the server's XML says, empty where it names no code; None where that is no S3 server's error."""
    if response.status < HTTPStatus.MULTIPLE_CHOICES or not response.content_type.endswith(_XML):
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat expands no entities endlessly since 2.4.1
    except ET.ParseError:
        return None
    return root.findtext("{*}Code") or "" if root.tag.rpartition("}")[2] == "Error" else None


def _check_names(ref: ImageRef) -> None:
    """Refuse what no S3 server can have."""
    try:
        check_bucket_name(ref.bucket)
        check_object_name(ref.key)
    except ValueError as error:
        raise ImageNotFoundError(f"{ref} cannot be a name in the object store") from error
