"""The stand-in as a process of its own, on a free port."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import pytest

from tests.server.wire import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Process:
    """A running stand-in."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """The port of HTTP and WebSocket."""
        port = urlsplit(self.url).port
        assert port is not None
        return port


class Serve(Protocol):
    """Start a stand-in with these options; it ends with the test."""

    def __call__(self, *options: str) -> Process: ...


def start(*options: str) -> subprocess.Popen[str]:
    """Start the command line."""
    command = [sys.executable, "-m", "tests.first_server", *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start stand-ins; asserts that each ends with status 0 and an empty stderr on SIGTERM."""
    started: list[subprocess.Popen[str]] = []

    def serve_one(*options: str) -> Process:
        process = start(*options)
        started.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate(timeout=DEADLINE)[1]
        return Process(url, process)

    yield serve_one
    for process in started:
        process.terminate()
    for process in started:
        _, complaints = process.communicate(timeout=DEADLINE)
        assert (process.returncode, complaints) == (0, "")


@pytest.fixture
def server(serve: Serve) -> Process:
    """A stand-in with the timings of the original."""
    return serve()
