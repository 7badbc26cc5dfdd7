"""Servers to judge, and the command that judges them."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from conformance.targets.server_process import running_server
from tests.command import odd_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[..., subprocess.CompletedProcess[str]]

SERVER = f"{sys.executable} -m reference_server --port 0 --virtual-clock"
#: Time limit of one command, in seconds.
COMMAND_SECONDS = 120.0


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A reference server with a virtual clock."""
    with running_server(SERVER) as url:
        yield url


@pytest.fixture
def web_server_url() -> Iterator[str]:
    """A plain web server without STOMP."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"ws://127.0.0.1:{server.server_address[1]}/stomp"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def poor_broker_url() -> Iterator[str]:
    """A broker that opens sessions, and ends each at the next frame."""
    with odd_servers.listening(odd_servers.speechless_broker) as port:
        yield f"ws://127.0.0.1:{port}/stomp"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def conformance() -> Command:
    """Function that runs `python -m conformance` to its end."""
    return run_conformance


def run_conformance(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m conformance` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={**clean_environment(), **environment},
    )


def clean_environment() -> dict[str, str]:
    """The environment without what directs the suite, pytest or a CI server."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STOMPLIANCE", "PYTEST", "GITHUB", "HYPOTHESIS"))
    }
