"""Proxies of the stability runs: they forward everything, and leave no descriptor open."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stability.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 20.0


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of an echo server that serves one connection at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while data := client.recv(65536):
                    client.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def through(port: int, octets: bytes) -> bytes:
    """Octets that the echo server returns for these."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        threading.Thread(target=lambda: (client.sendall(octets), client.shutdown(socket.SHUT_WR))).start()
        with client.makefile("rb") as incoming:
            return incoming.read()


def descriptors() -> int:
    """Number of open files and sockets of this process."""
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("delay", [None, 0.01])
def test_everything_comes_through_in_order(echo: int, delay: float | None) -> None:
    """Octets arrive complete and in order, singly or delayed."""
    octets = bytes(range(256)) * 80
    with proxied("127.0.0.1", echo, delay=delay) as port:
        assert through(port, octets) == octets


@pytest.mark.parametrize("delay", [None, 0.0])
def test_no_descriptor_outlives_its_connection(echo: int, delay: float | None) -> None:
    """No descriptor stays open after its connection, since one run makes thousands of them."""
    with proxied("127.0.0.1", echo, delay=delay) as port:
        before = descriptors()
        for _ in range(20):
            assert through(port, b"x") == b"x"
        deadline = time.monotonic() + DEADLINE
        while descriptors() > before and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert descriptors() <= before
