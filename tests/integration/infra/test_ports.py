"""Ports for servers: one for each, whatever runs beside this process."""

import multiprocessing
import socket

from infra.local_stack.process import free_port

_MANY = 250


def _take(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def test_processes_side_by_side_are_given_different_ports() -> None:
    """A port is promised to one process alone, though nobody listens there yet."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        elsewhere = [pool.apply_async(_take, (_MANY,)) for _ in range(2)]
        ports = _take(_MANY) + [port for taken in elsewhere for port in taken.get()]
    assert len(set(ports)) == 3 * _MANY


def test_a_port_in_use_is_not_given() -> None:
    """Somebody else's server within the block of ports is passed over."""
    port = next(port for port in iter(free_port, None) if port % 100 < 99)
    with socket.create_server(("127.0.0.1", port + 1)) as server:
        assert free_port() != server.getsockname()[1]
