"""What a store makes of every fault that a real socket can bring, and what is left behind."""

import asyncio
import contextlib
import gc
import threading
import time
import tracemalloc
from pathlib import Path

import attrs
import certifi
import pytest

from adapters.object_store.errors import ObjectForbiddenError, StorageRefusedError
from adapters.object_store.store import S3PhotoStore, StoreOptions
from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef
from infra.local_stack.process import free_port
from infra.local_stack.s3 import S3Server
from tests import faulty_s3 as faulty
from tests.faulty_s3 import Fault, FaultyS3, wait_until
from tests.integration.object_store.conftest import CERTIFICATE, CONTENT, Closing

LIMIT = 1024 * 1024
XML = "Content-Type: application/xml"
ETAG = 'ETag: "1"'
FOUND = f"HTTP/1.1 200 OK\r\n{ETAG}\r\n".encode()


PASSING = {
    "500": (faulty.error("500 Internal Server Error", "InternalError"), "InternalError"),
    "503": (faulty.error("503 Service Unavailable", "SlowDown"), "SlowDown"),
    "busy": (faulty.error("400 Bad Request", "RequestTimeout"), "RequestTimeout"),
    "unknown code": (faulty.error("418 Teapot", "Teapot"), "Teapot"),
    "no code": (faulty.answer("500 Oh", b"<Error/>", XML), "an error without a code"),
    "bad gateway": (faulty.answer("502 Bad Gateway", b"<html>nginx</html>", "Content-Type: text/html"), "HTTP 502"),
    "ingress without backend": (faulty.answer("404 Not Found", b"404 page not found"), "HTTP 404"),
    "forbidden by a proxy": (faulty.answer("403 Forbidden", b"go away", "Content-Type: text/plain"), "HTTP 403"),
    "empty error": (faulty.answer("500 Oh", b"", XML), "HTTP 500"),
    "no XML": (faulty.answer("500 Oh", b"garbage <<<", XML), "not that of an S3 server"),
    "no text": (faulty.answer("404 Not Found", b"\xff\xfe\x00garbage", XML), "not that of an S3 server"),
    "wrong method": (faulty.error("405 Method Not Allowed", "MethodNotAllowed"), "MethodNotAllowed"),
    "a proxy's page": (
        faulty.answer("200 OK", b"<html>back soon</html>", "Content-Type: text/html"),
        r"not that of an S3 server \(HTTP 200, no ETag\)",
    ),
    "a proxy's page in XML": (
        faulty.answer("404 Not Found", b"<html><Code>NoSuchKey</Code></html>", "Content-Type: application/xhtml+xml"),
        r"not that of an S3 server \(HTTP 404\)",
    ),
    "part": (faulty.answer("206 Partial Content", b"part"), "HTTP 206"),
    "nothing": (faulty.answer("204 No Content"), "HTTP 204"),
    "no HTTP": (faulty.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "ClientResponseError"),
    "hung up": (faulty.hang_up, "ServerDisconnectedError"),
    "reset mid-body": (faulty.reset_mid_body, r"ClientPayloadError"),
    "cut mid-body": (faulty.cut_mid_body, "ClientPayloadError"),
    "bad chunks": (faulty.raw(FOUND + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nxx"), "ClientResponseError"),
    "cut chunks": (faulty.raw(FOUND + b"Transfer-Encoding: chunked\r\n\r\n10\r\nxx"), "ClientPayloadError"),
}


@pytest.mark.parametrize(("fault", "word"), PASSING.values(), ids=PASSING)
async def test_a_fault_is_passing_and_named(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, fault: Fault, word: str
) -> None:
    """Neither the photograph nor the credentials are blamed; one request was made, and the next one is good."""
    proxy.script.append(fault)
    with pytest.raises(StorageUnavailableError, match=word) as caught:
        await store.fetch(photo, max_bytes=LIMIT)
    assert not isinstance(caught.value, StorageRefusedError)
    assert len(proxy.requests) == 1
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_a_pause_between_two_bytes_is_passing(
    options: StoreOptions, proxy: FaultyS3, photo: ImageRef, closing: Closing
) -> None:
    """A server that says nothing for too long is given up long before the deadline."""
    store = closing(S3PhotoStore(attrs.evolve(options, read_seconds=2.0)))
    proxy.script.append(faulty.silence)
    with pytest.raises(StorageUnavailableError, match="SocketTimeoutError"):
        await store.fetch(photo, max_bytes=LIMIT)
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
async def test_redirects_are_not_followed(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, status: str) -> None:
    """A signed request goes to the server that was configured, and to no other."""
    with FaultyS3("127.0.0.1:1") as elsewhere:
        proxy.script.append(faulty.answer(status, b"", f"Location: http://{elsewhere.endpoint}/faults/photo.jpg"))
        with pytest.raises(StorageUnavailableError, match=status.split(maxsplit=1)[0]):
            await store.fetch(photo, max_bytes=LIMIT)
        assert elsewhere.connections == 0


@pytest.mark.parametrize("code", ["AccessDenied", "AllAccessDisabled"])
async def test_a_forbidden_object_is_neither_missing_nor_an_outage(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, code: str
) -> None:
    """It is an error of its own, which says whose rights to look at."""
    proxy.script.append(faulty.error("403 Forbidden", code))
    with pytest.raises(ObjectForbiddenError, match=rf"photo\.jpg may not be read with these credentials \({code}\)"):
        await store.fetch(photo, max_bytes=LIMIT)


@pytest.mark.parametrize(
    "code", ["SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed"]
)
async def test_refused_credentials_are_told_from_a_forbidden_object(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, code: str
) -> None:
    """They concern every object alike."""
    proxy.script.append(faulty.error("403 Forbidden", code))
    with pytest.raises(StorageRefusedError, match=code) as caught:
        await store.fetch(photo, max_bytes=LIMIT)
    assert not isinstance(caught.value, ObjectForbiddenError)


@pytest.mark.parametrize(
    "code", ["NoSuchKey", "NoSuchBucket", "XMinioInvalidObjectName", "XMinioInvalidResourceName", "KeyTooLongError"]
)
async def test_what_is_not_there_is_not_found(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, code: str) -> None:
    """So says the server's code, not the HTTP status."""
    proxy.script.append(faulty.error("400 Bad Request", code))
    with pytest.raises(ImageNotFoundError, match=code):
        await store.fetch(photo, max_bytes=LIMIT)


@pytest.mark.parametrize("kind", ["text/xml", "Text/XML; charset=utf-8", "application/xml;charset=UTF-8"])
async def test_any_xml_tells_what_is_not_there(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, kind: str
) -> None:
    """Servers call their errors by different media types."""
    proxy.script.append(faulty.error("404 Not Found", "NoSuchKey", kind))
    with pytest.raises(ImageNotFoundError, match="NoSuchKey"):
        await store.fetch(photo, max_bytes=LIMIT)


async def test_a_refused_connection_is_passing(options: StoreOptions, photo: ImageRef, closing: Closing) -> None:
    """Nobody listens: the error says so, and where."""
    endpoint = f"127.0.0.1:{free_port()}"
    store = closing(S3PhotoStore(attrs.evolve(options, endpoint=endpoint)))
    told = rf"{endpoint}.*ClientConnectorError \(Connection refused\) \(FACEMATCH_S3_ENDPOINT\)"
    with pytest.raises(StorageUnavailableError, match=told):
        await store.fetch(photo, max_bytes=LIMIT)


async def test_an_unknown_host_is_passing(options: StoreOptions, photo: ImageRef, closing: Closing) -> None:
    """A name that does not resolve is a fault of the network, too."""
    store = closing(S3PhotoStore(attrs.evolve(options, endpoint="no-such-host.invalid:9000")))
    with pytest.raises(StorageUnavailableError, match=r"no-such-host\.invalid:9000"):
        await store.fetch(photo, max_bytes=LIMIT)


@pytest.mark.parametrize("slow", [faulty.silence, faulty.trickle_head, faulty.trickle_body])
async def test_a_fetch_ends_at_its_deadline(
    hurried: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, slow: Fault
) -> None:
    """However the server drags it out, the time is up; the connection is shut."""
    proxy.script.append(slow)
    started = time.monotonic()
    with pytest.raises(StorageUnavailableError, match=r"did not come within 2 s"):
        await hurried.fetch(photo, max_bytes=LIMIT)
    assert 1.9 < time.monotonic() - started < 10
    await asyncio.to_thread(wait_until, lambda: proxy.open_connections == 0, "the connection's end")


async def test_bytes_that_never_end_are_too_large(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """An endless body, announced or not, costs no more than the limit."""
    for framing in (b"Connection: close", b"Content-Length: 99999999999"):
        proxy.script.append(faulty.endless(FOUND + framing + b"\r\n\r\n"))
        with pytest.raises(ImageTooLargeError, match=rf"photo\.jpg has .*more than {LIMIT}"):
            await store.fetch(photo, max_bytes=LIMIT)


async def test_an_endless_error_costs_little(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """The text of an error is read as far as an error needs, not for as long as it lasts."""
    proxy.script.append(faulty.endless(b"HTTP/1.1 500 Oh\r\nContent-Type: application/xml\r\n\r\n<Error>"))
    tracemalloc.start()
    try:
        with pytest.raises(StorageUnavailableError, match="not that of an S3 server"):
            await store.fetch(photo, max_bytes=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("framing", [faulty.without_length, faulty.until_close])
async def test_a_body_of_unannounced_length_is_bounded_too(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, framing: Fault
) -> None:
    """It comes whole when it fits, and is too large when it does not."""
    proxy.script += [framing, framing, framing]
    assert await store.fetch(photo, max_bytes=len(CONTENT)) == CONTENT
    with pytest.raises(ImageTooLargeError):
        await store.fetch(photo, max_bytes=len(CONTENT) - 1)
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_more_bytes_than_announced_harm_no_later_fetch(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef
) -> None:
    """What comes after the announced end is nobody's: it spoils this answer or none; its connection is used no more."""
    proxy.script.append(faulty.announce_half)
    with contextlib.suppress(StorageUnavailableError):  # where the rest came in the same packet
        assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT[: len(CONTENT) // 2]
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT
    assert proxy.connections == 2


async def test_connections_are_used_again(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """One after the other, fetches and refusals share one connection."""
    proxy.script += [faulty.pass_on, faulty.error("404 Not Found", "NoSuchKey"), faulty.pass_on]
    await store.fetch(photo, max_bytes=LIMIT)
    with pytest.raises(ImageNotFoundError):
        await store.fetch(photo, max_bytes=LIMIT)
    await store.fetch(photo, max_bytes=LIMIT)
    assert proxy.connections == 1


async def test_a_server_that_fails_behind_kept_connections_is_left(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef
) -> None:
    """Behind one address there may be others: one failure, and no connection is used again that was open then."""
    proxy.script += [faulty.pass_on] * 3
    await asyncio.gather(*(store.fetch(photo, max_bytes=LIMIT) for _ in range(3)))
    before = proxy.connections
    proxy.script += [faulty.error("503 Slow", "SlowDown")]
    with pytest.raises(StorageUnavailableError):
        await store.fetch(photo, max_bytes=LIMIT)
    assert proxy.connections == before
    await store.fetch(photo, max_bytes=LIMIT)
    assert proxy.connections == before + 1


async def test_who_is_at_it_when_another_fetch_fails_goes_on(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef
) -> None:
    """The connections that are left are closed when nobody needs them any more."""
    going_on = threading.Event()

    def late(exchange: faulty.Exchange) -> bool:
        assert going_on.wait(5)
        return faulty.pass_on(exchange)

    proxy.script += [late]
    slow = asyncio.create_task(store.fetch(photo, max_bytes=LIMIT))
    await asyncio.to_thread(wait_until, lambda: bool(proxy.requests), "the request")
    proxy.script += [faulty.hang_up]
    with pytest.raises(StorageUnavailableError):
        await store.fetch(photo, max_bytes=LIMIT)
    going_on.set()
    assert await slow == CONTENT


def _copy(certificates: Path, file: Path) -> None:
    file.write_bytes(certificates.read_bytes())


async def test_a_certificate_that_is_replaced_is_trusted_without_a_restart(
    s3_server: S3Server, options: StoreOptions, photo: ImageRef, closing: Closing, tmp_path: Path
) -> None:
    """Its file is read again after the first connection that does not trust the server, also while it is written."""
    trusted = tmp_path / "ca.pem"
    _copy(Path(certifi.where()), trusted)
    with FaultyS3(s3_server.endpoint, str(CERTIFICATE)) as proxy:
        store = closing(S3PhotoStore(attrs.evolve(options, endpoint=proxy.endpoint, secure=True, ca=trusted)))
        with pytest.raises(StorageUnavailableError, match="certificate verify failed"):
            await store.fetch(photo, max_bytes=LIMIT)
        for content in ("", "-----BEGIN CERTIFICATE-----"):
            trusted.write_text(content)
            with pytest.raises(StorageUnavailableError, match=r"the certificates in \S+ cannot be read"):
                await store.fetch(photo, max_bytes=LIMIT)
        _copy(CERTIFICATE, trusted)
        assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef
) -> None:
    """An idle connection that has ended costs no attempt."""
    proxy.script += [faulty.until_close]
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT
    assert proxy.connections == 2


async def test_a_cancelled_fetch_lets_go_of_everything(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """The caller is free at once; the connection ends without it, and the next fetch is good."""
    proxy.script.append(faulty.silence)
    fetch = asyncio.create_task(store.fetch(photo, max_bytes=LIMIT))
    await asyncio.to_thread(wait_until, lambda: len(proxy.requests) == 1, "the request")
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await asyncio.to_thread(wait_until, lambda: proxy.open_connections == 0, "the connection's end")
    assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_stuck_fetches_do_not_starve_the_others(hurried: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """Every slot is taken by a fetch that hangs; when their time is over, others have their turn."""
    proxy.script += [faulty.silence, faulty.silence]
    stuck = [asyncio.create_task(hurried.fetch(photo, max_bytes=LIMIT)) for _ in range(2)]
    results = await asyncio.gather(*stuck, return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailableError] * 2
    assert await hurried.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_no_more_fetches_run_at_once_than_there_are_connections(
    hurried: S3PhotoStore, proxy: FaultyS3, photo: ImageRef
) -> None:
    """The others wait for their turn, and for no longer than their deadline."""
    proxy.script += [faulty.silence] * 6
    fetches = [asyncio.create_task(hurried.fetch(photo, max_bytes=LIMIT)) for _ in range(6)]
    await asyncio.to_thread(wait_until, lambda: len(proxy.requests) == 2, "two requests")
    results = await asyncio.gather(*fetches, return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailableError] * 6


async def test_fetches_leave_the_event_loop_free(
    options: StoreOptions, proxy: FaultyS3, photo: ImageRef, closing: Closing
) -> None:
    """While every connection waits for its server, the loop turns, and other threads' work goes on."""
    store = closing(S3PhotoStore(attrs.evolve(options, connections=40)))
    proxy.script += [faulty.silence] * 40
    fetches = [asyncio.create_task(store.fetch(photo, max_bytes=LIMIT)) for _ in range(40)]
    await asyncio.to_thread(wait_until, lambda: len(proxy.requests) == 40, "forty requests at once", 20.0)
    async with asyncio.timeout(5):
        await asyncio.to_thread(lambda: None)
    await store.close()
    await asyncio.gather(*fetches, return_exceptions=True)


async def test_close_waits_for_nothing(
    options: StoreOptions, proxy: FaultyS3, photo: ImageRef, closing: Closing
) -> None:
    """What hangs is cut, what comes is refused, and neither takes time."""
    store = closing(S3PhotoStore(options))
    proxy.script.append(faulty.silence)
    fetch = asyncio.create_task(store.fetch(photo, max_bytes=LIMIT))
    await asyncio.to_thread(wait_until, lambda: len(proxy.requests) == 1, "the request")
    await store.close()
    async with asyncio.timeout(5):
        with pytest.raises(StorageUnavailableError):
            await fetch
        with pytest.raises(StorageUnavailableError, match="closed"):
            await store.fetch(photo, max_bytes=LIMIT)


async def test_a_large_photograph_is_in_memory_once(options: StoreOptions, proxy: FaultyS3, closing: Closing) -> None:
    """Of 20 MiB, announced as such, no second copy is made."""
    size = 20 * 1024 * 1024
    content = b"\xff\xd8" + bytes(size - 2)
    proxy.script.append(faulty.answer("200 OK", content, ETAG))
    store = closing(S3PhotoStore(options))
    gc.collect()
    tracemalloc.start()
    try:
        fetched = await store.fetch(ImageRef("faults", "large.jpg"), max_bytes=size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fetched == content
    assert peak < 2.2 * size  # one of the two is the proxy's


async def test_tls_with_a_known_certificate(
    s3_server: S3Server, options: StoreOptions, photo: ImageRef, closing: Closing
) -> None:
    """Over TLS everything is as it is without, the deadline included."""
    with FaultyS3(s3_server.endpoint, str(CERTIFICATE)) as proxy:
        secure = attrs.evolve(options, endpoint=proxy.endpoint, secure=True, ca=CERTIFICATE, deadline_seconds=2.0)
        store = closing(S3PhotoStore(secure))
        assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT
        proxy.script.append(faulty.silence)
        with pytest.raises(StorageUnavailableError, match="did not come within 2 s"):
            await store.fetch(photo, max_bytes=LIMIT)
        assert await store.fetch(photo, max_bytes=LIMIT) == CONTENT


async def test_tls_with_an_unknown_certificate(
    s3_server: S3Server, options: StoreOptions, photo: ImageRef, closing: Closing
) -> None:
    """A server that cannot prove who it is gets no request."""
    with FaultyS3(s3_server.endpoint, str(CERTIFICATE)) as proxy:
        store = closing(S3PhotoStore(attrs.evolve(options, endpoint=proxy.endpoint, secure=True)))
        with pytest.raises(StorageUnavailableError, match="certificate verify failed"):
            await store.fetch(photo, max_bytes=LIMIT)
        assert proxy.requests == []


async def test_a_tls_handshake_that_hangs_ends_at_the_deadline(
    options: StoreOptions, photo: ImageRef, closing: Closing
) -> None:
    """A server that takes the connection and never says hello, either."""
    store = closing(S3PhotoStore(attrs.evolve(options, secure=True, deadline_seconds=2.0)))
    with pytest.raises(StorageUnavailableError, match=r"did not come within 2 s"):
        await store.fetch(photo, max_bytes=LIMIT)
