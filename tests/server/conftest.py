"""Fixtures of the tests of the server."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from reference_server.config import Settings
from reference_server.server import Server
from tests.server.wire import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers with the given settings; fails if a thread of theirs is left at the end of the test."""
    before = set(threading.enumerate())
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Server:
            return stack.enter_context(Server(Settings(port=0, **settings)))

        yield start
    eventually(lambda: set(threading.enumerate()) <= before, "threads are left behind")


@pytest.fixture
def server(serve: Serve) -> Server:
    """Return a server with default settings."""
    return serve()
