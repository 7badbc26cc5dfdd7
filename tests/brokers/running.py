"""The process of a broker: its free ports, the wait until it answers, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

#: Longest time until a broker answers on all its ports, and until it has ended, in seconds.
START_SECONDS = 120.0
STOP_SECONDS = 20.0
#: Longest time of one attempt to be answered, and the pause before the next, in seconds.
ATTEMPT_SECONDS = 5.0
PAUSE_SECONDS = 0.2
LOG = "broker.log"
_LAST_LINES = 15
#: First request in each protocol but WebSocket, and the beginning of the answer that shows a broker.
_FIRST_REQUESTS = {
    "stomp": (b"CONNECT\naccept-version:1.0,1.1,1.2\nhost:/\n\n\0", b""),
    "redis": (b"PING\r\n", b"+PONG"),
    "nats": (b"", b"INFO "),
    "amqp": (b"AMQP\0\0\x09\x01", b"\x01\0\0"),
    "kafka": (b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff", b"\0\0"),
}


class CannotStart(Exception):
    """A broker ended early or didn't answer in time; the message has the end of its log."""


@dataclass(frozen=True)
class Start:
    """Command line of a broker, its environment, and its URLs by transport (`tcp`, `websocket`)."""

    words: list[str]
    urls: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)
    #: Options of the suite that depend on the machine.
    options: tuple[str, ...] = ()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(start: Start, folder: Path, seconds: float = START_SECONDS) -> Iterator[Callable[[], str]]:
    """Run a broker as long as the context, with its output in the folder's `broker.log`.

    Yields a function that says how it ended, "" while it runs.

    Raises CannotStart if it doesn't answer at each URL within `seconds`. Everything in its process group ends with it.
    """
    with (folder / LOG).open("wb") as log:
        try:
            process = subprocess.Popen(
                start.words,
                cwd=folder,
                env={**os.environ, **start.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotStart(f"cannot start {start.words[0]}: {error}") from error
    try:
        _wait(process, start, folder, time.monotonic() + seconds, seconds)
        yield lambda: _ended(process, folder)
    finally:
        _stop(process)


def _wait(
    process: subprocess.Popen[bytes], start: Start, folder: Path, deadline: float, seconds: float
) -> None:
    waiting = list(start.urls.values())
    while waiting:
        if answers(waiting[0]):
            waiting.pop(0)
            continue
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(PAUSE_SECONDS)
            raise CannotStart(f"the broker ended with status {status} before it answered.{_log(folder)}")
        if time.monotonic() > deadline:
            raise CannotStart(f"no answer at {waiting[0]} within {seconds:g} s.{_log(folder)}")


def answers(url: str) -> bool:
    """True if a CONNECT, or over WebSocket an upgrade, is answered within ATTEMPT_SECONDS, whatever the answer.

    Engines with a protocol of their own are sent its first request.
    """
    parts = urlsplit(url)
    port = parts.port or 0
    if parts.scheme in _FIRST_REQUESTS:
        request, beginning = _FIRST_REQUESTS[parts.scheme]
    else:
        request = (
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v12.stomp, v11.stomp, v10.stomp\r\n\r\n"
        ).encode("ascii")
        beginning = b"HTTP/1.1 101"
    try:
        with socket.create_connection(("127.0.0.1", port), ATTEMPT_SECONDS) as connection:
            connection.settimeout(ATTEMPT_SECONDS)
            connection.sendall(request)
            answer = connection.recv(4096)
    except OSError:
        return False
    return answer.startswith(beginning) and answer != b""


def _ended(process: subprocess.Popen[bytes], folder: Path) -> str:
    status = process.poll()
    return (
        "" if status is None else f"the broker ended with status {status} while it was judged.{_log(folder)}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all in its group: by SIGTERM, and what is left by SIGKILL."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _log(folder: Path) -> str:
    text = (folder / LOG).read_text("utf-8", errors="replace").strip()
    lines = "\n".join(f"    {line}" for line in text.splitlines()[-_LAST_LINES:])
    return f" The end of its log:\n{lines}" if lines else " It printed nothing."
