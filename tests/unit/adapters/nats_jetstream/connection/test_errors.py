"""What is said of an error of the NATS client."""

import socket

import pytest

from adapters.nats_jetstream.connection.errors import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 4222)"), "Connection refused (127.0.0.1:4222)"),
        (OSError(113, "Connect call failed ('fe80::1', 4222, 0, 2)"), "No route to host ([fe80::1]:4222)"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno -2] x"),
            "Multiple exceptions: Connection refused ([::1]:1), x",
        ),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("the certificates in a.pem cannot be used"), "the certificates in a.pem cannot be used"),
    ],
)
def test_the_systems_reason_is_told_in_words(error: OSError, said: str) -> None:
    """Without the number that it has in Python, and with the address where one is known."""
    assert reason(error) == said
