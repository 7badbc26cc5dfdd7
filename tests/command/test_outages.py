"""Servers that die, hang or go away for a moment in the middle of a run."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from conformance.wire.http import HttpClient
from tests.command.conftest import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARGUMENTS = ("--effort", "quick", "--class", "stomp-1.1", "--class", "queue-http")
AWAY_SECONDS = 3.0


class Server:
    """Reference server on one port that can be killed, stopped and started again."""

    def __init__(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = int(taken.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        command = [sys.executable, "-m", "reference_server", "--port", str(self.port), "--virtual-clock"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._listens():
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def wait_for_topics(self) -> None:
        """Wait until a test has added a topic."""
        client = HttpClient("127.0.0.1", self.port)
        deadline = time.monotonic() + 20
        while b"topic-" not in client.request("GET", "/topics").body:
            assert time.monotonic() < deadline
        client.close()

    def kill(self) -> None:
        """Kill the server, whatever it does."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that is killed at the end."""
    running = Server()
    yield running
    running.kill()


def judged(server: Server, meanwhile: Callable[[], None]) -> tuple[int, str]:
    """Status and output of a run; `meanwhile` is called when the run has begun."""
    run = subprocess.Popen(
        [sys.executable, "-m", "conformance", f"ws://127.0.0.1:{server.port}/stomp", *ARGUMENTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    printed = []
    try:
        for line in run.stdout:
            printed.append(line)
            if re.match(r"\s+time ", line):  # the last line before the tests
                break
        server.wait_for_topics()
        meanwhile()
        rest, _ = run.communicate(timeout=COMMAND_SECONDS)
    finally:
        run.kill()
    return run.returncode, " ".join("".join([*printed, rest]).split())


def test_a_server_that_dies_ends_the_run(server: Server) -> None:
    status, output = judged(server, server.kill)
    assert status == 4, output
    assert "the server went away during test_" in output
    assert "the last thing that it was sent:" in output
    assert "Traceback" not in output


def test_a_server_that_hangs_ends_the_run(server: Server) -> None:
    status, output = judged(server, lambda: server.process.send_signal(signal.SIGSTOP))
    assert status == 4, output
    assert "the server went away during test_" in output


def test_a_server_that_is_started_again_is_judged_to_the_end(server: Server) -> None:
    def restart() -> None:
        server.kill()
        threading.Event().wait(AWAY_SECONDS)
        server.start()

    status, output = judged(server, restart)
    assert status in (0, 4), output
    assert "NOT CONFORMING" not in output
    assert "ended early" not in output
    assert "requirements hold" in output or "every requirement that was judged holds" in output


def test_a_server_that_hangs_for_a_moment_is_judged_to_the_end(server: Server) -> None:
    def pause() -> None:
        server.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(AWAY_SECONDS + 4)
        server.process.send_signal(signal.SIGCONT)

    status, output = judged(server, pause)
    assert status in (0, 4), output
    assert "NOT CONFORMING" not in output
    assert "ended early" not in output
