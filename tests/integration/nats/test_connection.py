"""Connecting: who is let in, what is told when not, and that nothing ends a connection for good."""

import asyncio
import gc
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import urllib3
from nats.aio.client import Client

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from domain.errors import MessagingUnavailableError
from infra.local_stack.nats import NatsServer
from infra.local_stack.process import free_port
from tests.broker import connected, own_names, provisioned, running
from tests.certificates import Certificate, authority, needs_openssl, signed
from tests.e2e.world import eventually
from tests.faults.proxy import Proxy
from tests.integration.nats.operator import Identity, trusting_server_and_credentials

PASSWORD = "p@ss/word:1"
USER = f'authorization {{ user: anna, password: "{PASSWORD}" }}'
JWT_AND_BAD_SEED = (
    "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n"
    "-----BEGIN USER NKEY SEED-----\nSUabc\n------END USER NKEY SEED------\n"
)
TOKEN = 'authorization { token: "t0ken" }'
PATIENCE_SECONDS = 5
UNANSWERED = "no answer in time: check that the server can be reached and that JetStream has a leader"


async def refusal(url: str, seconds: int = 1, /, **options: Any) -> str:
    """Return what is told of a connection that cannot be made; where nobody answered in time it is tried for longer."""
    said = await told(url, seconds, **options)
    return await told(url, PATIENCE_SECONDS, **options) if said.endswith(UNANSWERED) else said


async def told(url: str, seconds: int, /, **options: Any) -> str:
    """Return what is told of a connection that could not be made in so many seconds."""
    with pytest.raises(MessagingUnavailableError) as caught:
        await connect(ConnectionOptions((url,), **options), timeout_seconds=seconds)
    return str(caught.value)


async def answers(client: Client) -> bool:
    """Tell whether JetStream answers."""
    return (await client.jetstream().account_info()).streams >= 0


async def test_a_dead_server_is_told() -> None:
    """Nobody listens: the message says where, and comes in time."""
    port = free_port()
    assert str(port) in await refusal(f"nats://127.0.0.1:{port}")


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """Something listens but does not speak; which server it is and where that is set is told, and no secret."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        said = await told(f"nats://anna:{quote(PASSWORD, safe='')}@{address}", 1)
    assert said == f"cannot connect to NATS at nats://{address} (FACEMATCH_NATS_URL): {UNANSWERED}"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("extra", "options"),
    [
        (USER, {"user": "anna", "password": "wrong"}),
        (USER, {}),
        (TOKEN, {"token": "wrong"}),
        (TOKEN, {"user": "anna", "password": PASSWORD}),
    ],
)
async def test_who_is_not_let_in_hears_why(tmp_path: Path, extra: str, options: dict[str, str]) -> None:
    """The server's own reason is told, without what was sent, and nothing of TLS; and what to look at."""
    async with running(tmp_path, extra) as server:
        said = await refusal(server.url, **options)
    assert said.removeprefix(f"cannot connect to NATS at {server.url} (FACEMATCH_NATS_URL): ") == (
        "'Authorization Violation': check FACEMATCH_NATS_USER and FACEMATCH_NATS_PASSWORD, FACEMATCH_NATS_TOKEN or "
        "FACEMATCH_NATS_CREDS"
    )
    assert all(value not in said for value in options.values())


async def test_who_is_known_is_let_in(tmp_path: Path) -> None:
    """By settings, or by a URL, whose escapes are understood."""
    async with running(tmp_path, USER) as server:
        async with connected(server, user="anna", password=PASSWORD) as client:
            assert await answers(client)
        url = server.url.replace("//", "//anna:p%40ss%2Fword%3A1@")
        client = await connect(ConnectionOptions((url,)))
        assert await answers(client)
        await disconnect(client)


async def test_a_token_is_let_in(tmp_path: Path) -> None:
    """By settings, or by a URL."""
    async with running(tmp_path, TOKEN) as server:
        async with connected(server, token="t0ken") as client:
            assert await answers(client)
        client = await connect(ConnectionOptions((server.url.replace("//", "//t0ken@"),)))
        assert await answers(client)
        await disconnect(client)


async def test_one_server_of_several_is_enough(nats_server: NatsServer) -> None:
    """A dead server in the list does no harm."""
    client = await connect(ConnectionOptions((f"nats://127.0.0.1:{free_port()}", nats_server.url)))
    assert await answers(client)
    await disconnect(client)


async def test_a_server_of_several_that_says_nothing_does_not_use_up_the_time(nats_server: NatsServer) -> None:
    """Whichever is tried first: the client shuffles them."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        urls = (f"nats://127.0.0.1:{mute.getsockname()[1]}", nats_server.url)
        for _ in range(4):
            client = await connect(ConnectionOptions(urls), timeout_seconds=1)
            assert await answers(client)
            await client.close()


async def test_a_credentials_file_is_let_in(tmp_path: Path) -> None:
    """A server that trusts an operator lets its user in."""
    pytest.importorskip("nkeys", reason="credentials files need nkeys")
    extra, credentials = trusting_server_and_credentials(tmp_path)
    async with running(tmp_path, extra) as server, connected(server, creds=credentials) as client:
        assert await answers(client)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        ("", "holds no nkey seed"),
        ("-----BEGIN NATS USER JWT-----\n", "holds no nkey seed"),
        (
            "-----BEGIN USER NKEY SEED-----\n<seed>\n------END USER NKEY SEED------\n",
            "holds no user JWT",
        ),
        (JWT_AND_BAD_SEED, "holds a seed that is none"),
    ],
    ids=["missing", "empty", "cut off", "no JWT", "no seed"],
)
async def test_a_bad_credentials_file_is_told(tmp_path: Path, content: str | None, expected: str) -> None:
    """Whatever is in it, the connection ends in time with the file's name."""
    pytest.importorskip("nkeys", reason="credentials files need nkeys")
    extra, _ = trusting_server_and_credentials(tmp_path)
    bad = tmp_path / "bad.creds"
    if content is not None:
        bad.write_text(content.replace("<seed>", Identity("user").seed.decode()))
    async with running(tmp_path, extra) as server:
        said = await refusal(server.url, creds=bad)
    assert str(bad) in said
    assert expected in said


@asynccontextmanager
async def tls_server(folder: Path, more: str = "", top: str = "") -> AsyncIterator[NatsServer]:
    """Run a server with a certificate that only ``ca`` has signed."""
    ca = authority(folder)
    server = signed(folder, ca, "server")
    extra = f'tls {{ cert_file: "{server.certificate}", key_file: "{server.key}", {more} }}\n{top}'
    async with running(folder, extra) as running_server:
        yield running_server


@needs_openssl
async def test_a_known_authority_is_trusted_and_no_other(tmp_path: Path) -> None:
    """With the right CA TLS works; with another, or none, the reason is told."""
    async with tls_server(tmp_path) as server:
        async with connected(server, tls_ca=tmp_path / "ca.pem") as client:
            assert await answers(client)
        other = authority(tmp_path, "other")
        assert "certificate verify failed" in await refusal(server.url, tls_ca=other.certificate)
        assert "certificate verify failed" in await refusal(server.url)


@needs_openssl
async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    """A server that wants one refuses who has none; its alert may be lost when it hangs up, the hint is not."""
    ca = tmp_path / "ca.pem"
    async with tls_server(tmp_path, f'ca_file: "{ca}", verify: true') as server:
        mine = signed(tmp_path, authority(tmp_path, "unused"), "stranger")
        for options in ({}, {"tls_cert": mine.certificate, "tls_key": mine.key}):
            said = await refusal(server.url, 3, tls_ca=ca, **options)
            assert "alert" in said or "client certificate" in said


@needs_openssl
async def test_replaced_certificates_are_used_with_the_next_connection(tmp_path: Path) -> None:
    """The authority's and the client's own, without a restart; a file that is not there is told and waited for."""
    ca, mine, reports = tmp_path / "ca.pem", tmp_path / "mine.pem", list[str]()
    async with tls_server(tmp_path, f'ca_file: "{ca}", verify: true') as server:
        signed(tmp_path, Certificate(ca, tmp_path / "ca.key"), "mine")
        options = ConnectionOptions((server.url,), tls_ca=ca, tls_cert=mine, tls_key=tmp_path / "mine.key")
        client = await connect(options, report=reports.append)
        server.stop()
        new = authority(tmp_path)
        signed(tmp_path, new, "server")
        signed(tmp_path, new, "mine")
        mine.rename(tmp_path / "away.pem")
        server.start()
        expected = f"the certificates in {ca}, {mine}, {mine.with_suffix('.key')} cannot be used"
        await eventually(_value(lambda: "; ".join(reports)), lambda told: expected in told, "the reason")
        (tmp_path / "away.pem").rename(mine)
        await eventually(_value(lambda: reports[-1]), lambda last: last == "reconnected", "the reconnection")
        assert await answers(client)
        await disconnect(client)


@needs_openssl
async def test_tls_is_used_where_it_may_be(tmp_path: Path) -> None:
    """A server that allows both is spoken to in TLS, when a CA is set."""
    async with (
        tls_server(tmp_path, top="allow_non_tls: true") as server,
        connected(server, tls_ca=tmp_path / "ca.pem") as client,
    ):
        assert await answers(client)
        state = await asyncio.to_thread(urllib3.request, "GET", f"{server.monitoring_url}/connz")
        [connection] = state.json()["connections"]
        assert connection["tls_version"] in {"1.2", "1.3"}


@needs_openssl
async def test_no_secret_is_sent_in_clear_where_tls_was_asked_for(tmp_path: Path) -> None:
    """A server that offers no TLS, or somebody between who takes the offer away, learns nothing."""
    heard = bytearray()

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "version": "2.15.1", "max_payload": 1048576, "auth_required": True, "headers": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        heard.extend(await reader.read(4096))
        writer.close()

    listening = await asyncio.start_server(impostor, "127.0.0.1", 0)
    async with listening:
        address = f"127.0.0.1:{port_of(listening)}"
        ca = authority(tmp_path)
        for url, options in ((f"nats://{address}", {"tls_ca": ca.certificate}), (f"tls://{address}", {})):
            said = await refusal(url, user="anna", password=PASSWORD, **options)
            assert said.endswith(f"{address} (FACEMATCH_NATS_URL): secure connection not available")
    assert bytes(heard) == b""


@needs_openssl
async def test_somebody_between_cannot_lead_to_another_server(tmp_path: Path) -> None:
    """What a server says before it has shown who it is names no other to connect to, however good its certificate."""
    visits = {"between": 0, "elsewhere": 0}

    async def elsewhere(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits["elsewhere"] += 1
        writer.close()

    async def between(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits["between"] += 1
        info = {"server_id": "x", "version": "2.15.1", "max_payload": 1048576, "tls_required": True}
        others = [f"localhost:{port_of(others_listening)}"]
        writer.write(b"INFO " + json.dumps({**info, "connect_urls": others}).encode() + b"\r\n")
        writer.close()

    async with (
        tls_server(tmp_path) as server,
        await asyncio.start_server(elsewhere, "127.0.0.1", 0) as others_listening,
        await asyncio.start_server(between, "127.0.0.1", 0) as listening,
    ):
        with Proxy(urlsplit(server.url).port or 0) as proxy:
            client = await connect(ConnectionOptions((f"tls://{proxy.endpoint}",), tls_ca=tmp_path / "ca.pem"))
            proxy.upstream = port_of(listening)
            proxy.reset()
            await eventually(_value(lambda: visits["between"]), lambda count: count == 3, "further tries")
            proxy.upstream = urlsplit(server.url).port or 0
            await eventually(_value(lambda: client.is_connected), bool, "the reconnection")
            await disconnect(client)
    assert visits["elsewhere"] == 0


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("name", ["tls_ca", "tls_cert"])
async def test_a_bad_certificate_file_is_told(tmp_path: Path, nats_server: NatsServer, name: str) -> None:
    """A file that is no certificate is an error with words, not a crash."""
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    assert (await refusal(nats_server.url, **{name: bad})).startswith("cannot connect to NATS at ")


async def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    """The trouble is reported once, the recovery too, and the same client works again."""
    reports: list[str] = []
    async with running(tmp_path) as server:
        client = await connect(ConnectionOptions((server.url,)), report=reports.append)
        names = await provisioned(client)
        server.kill()
        await eventually(_value(lambda: client.is_connected), lambda up: not up, "the disconnection")
        server.start()
        await eventually(_value(lambda: reports[-1]), lambda last: last == "reconnected", "the reconnection")
        assert (await client.jetstream().publish(names.subject, b"x")).seq == 1
        await disconnect(client)
    assert "disconnected" in reports
    assert len(reports) == len(set(reports))


def _value(look: Any) -> Any:
    async def looked() -> Any:
        return look()

    return looked


async def test_disconnecting_from_a_dead_server_ends(tmp_path: Path) -> None:
    """Nothing hangs at the end, whoever is gone."""
    async with running(tmp_path) as server:
        client = await connect(ConnectionOptions((server.url,)))
        server.kill()
        async with asyncio.timeout(15):
            await disconnect(client)
    assert client.is_closed


async def test_disconnecting_from_a_server_that_says_nothing_ends_quietly(tmp_path: Path) -> None:
    """What the client left undone is no error that nobody handled: the log has no trace of it."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
    async with running(tmp_path) as server:
        client = await connect(ConnectionOptions((server.url,)))
        await client.subscribe("anything")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await disconnect(client)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        gc.collect()
    assert complaints == []


async def test_a_closed_client_tries_no_more(tmp_path: Path) -> None:
    """Whenever the end meets the search for a server that is gone, the search ends as well."""
    for number in range(10):
        async with running(tmp_path / str(number)) as server:
            client = await connect(ConnectionOptions((server.url,)))
            server.kill()
            await asyncio.sleep(0.001 * number)
            await disconnect(client)
    await eventually(_value(_searches), lambda found: not found, "the end of every search")


def _searches() -> list[str]:
    return [str(task) for task in asyncio.all_tasks() if "_attempt_reconnect" in str(task)]


async def test_an_error_that_ends_the_connection_does_not_end_the_client(nats_server: NatsServer) -> None:
    """The server hangs up on a message that is too large; the client is back at once, and its subscriptions too."""
    async with connected(nats_server) as client:
        names = await provisioned(client, own_names())
        inbox = await client.subscribe(f"{names.results_prefix}.x")
        await client.publish(names.subject, b"x" * client.max_payload, headers={"one": "too many"})
        await eventually(_value(lambda: client.stats["reconnects"]), lambda count: count == 1, "the reconnection")
        await client.publish(f"{names.results_prefix}.x", b"still here")
        assert (await inbox.next_msg(timeout=5)).data == b"still here"
