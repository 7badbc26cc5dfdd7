"""Servers, doors in front of them, and the commands that stop, kill and heal doors."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.brokers.running import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Heartbeat timeout of the servers, in seconds.
TIMEOUT = 2
_START_SECONDS = 20.0


@contextmanager
def forgetful_server(kind: str, timeout: int = TIMEOUT) -> Iterator[subprocess.Popen[str]]:
    """A server of `forgetful`; its attribute `args` ends with its port."""
    (port,) = free_ports(1)
    words = ["-m", "tests.faults.forgetful", kind, "--port", str(port), "--heartbeat-timeout", str(timeout)]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert urlsplit(process.stdout.readline()).port == port
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    """The port of a server of `forgetful`."""
    assert isinstance(process.args, list)
    return int(process.args[5])


class Door:
    """A door on a port of its own, and commands for it."""

    def __init__(self, server: int, folder: Path, number: int) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = folder / f"door{number}"
        words = [sys.executable, "-m", "tests.faults.door", str(self.port), str(server), str(self.file)]
        start = f"{shlex.join(words)} </dev/null >/dev/null 2>&1 &"
        id_ = f"$(cat {shlex.quote(str(self.file))})"
        self.start = f"sh -c {shlex.quote(start)}"
        file = shlex.quote(str(self.file))
        self.kill = f"sh -c {shlex.quote(f'kill -9 {id_} && rm {file}')}"
        self.stop = f"sh -c {shlex.quote(f'kill -STOP {id_}')}"
        self.heal = f"sh -c {shlex.quote(f'if [ -e {file} ]; then kill -CONT {id_}; else {start} fi')}"
        subprocess.run(shlex.split(self.start), check=True)
        deadline = time.monotonic() + _START_SECONDS
        while not self.file.exists():
            assert time.monotonic() < deadline, "the door does not open"

    def close(self) -> None:
        """End the process."""
        with suppress(OSError, ValueError):
            os.kill(int(self.file.read_text()), signal.SIGKILL)


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Callable[[int, int], list[Door]]]:
    """Function that makes doors to the server on a port."""
    with ExitStack() as stack:

        def make(server: int, count: int) -> list[Door]:
            made = []
            for number in range(count):
                made.append(Door(server, tmp_path, number))
                stack.callback(made[-1].close)
            return made

        yield make
