"""Nodes of the reference server on a Kafka cluster, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.brokers.running import CannotStart, free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Longest time until a node listens, and until it has ended, in seconds.
START_SECONDS = 90.0
STOP_SECONDS = 5.0


class Node:
    """One node, on the same port however often it is started."""

    def __init__(self, log: str, options: Sequence[str] = (), *, twin: str = "") -> None:
        """`twin` is the name of a fault of `twins` that it has."""
        (self.port,) = free_ports(1)
        self._words = [
            sys.executable,
            "-m",
            *(["tests.kafka.twin_node", twin] if twin else ["reference_server"]),
            "--log",
            log,
            "--port",
            str(self.port),
            *options,
        ]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it listens. Raises CannotStart."""
        self.process = subprocess.Popen(
            self._words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            # Signals may be blocked in the process that starts the node.
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),
        )
        assert self.process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        if not select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            self.kill()
            raise CannotStart(f"the node did not listen within {START_SECONDS:g} s")
        line = self.process.stdout.readline().decode()
        if urlsplit(self.url).netloc not in line:
            status = self.process.wait()
            self.process = None
            raise CannotStart(f"the node ended with status {status} and printed {line!r}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, as SIGSTOP or SIGCONT."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End the process at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process as an operator does."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.send(signal.SIGCONT)
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.send(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
