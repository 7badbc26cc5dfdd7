"""Fixtures of pytest: a broker for the tests of a client. They import the server when a test first asks for one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_server import Server


@pytest.fixture
def stomp_broker_factory() -> Iterator[Callable[..., Server]]:
    """Function that starts a `reference_server.Server` with the given settings; all end with the test."""
    from reference_server import Server

    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Server(**settings))


@pytest.fixture
def stomp_broker(stomp_broker_factory: Callable[..., Server]) -> Server:
    """A strict STOMP broker with default settings, at `stomp_broker.url`; ends with the test."""
    return stomp_broker_factory()
