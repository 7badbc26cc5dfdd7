"""Process of a server that runs for one run of the suite: the command of `--launch`.

The server must print a line with its URL for STOMP once it listens, and stop on SIGTERM.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

START_SECONDS = 20.0
STOP_SECONDS = 5.0
#: A URL in a line of text, without the punctuation, bracket or colour escape that follows it.
URL = re.compile(r"(?:wss?|stomps?|stomp\+ssl)://[^\s,;<>\"'`\x00-\x1f]*[^\s,;<>\"'`\x00-\x1f.:!?)\]}]")
TAIL_LINES = 20


class LaunchFailed(Exception):
    """The command could not be started, ended early, or printed no URL in time."""


@contextlib.contextmanager
def running_server(command: str) -> Iterator[str]:
    """Run `command` as long as the context; yields the first URL for STOMP that it prints.

    Raises LaunchFailed, with the command's output, if no URL comes within START_SECONDS.
    """
    try:
        words = shlex.split(command)
        if not words:
            raise LaunchFailed("there is no command to start")
        server = subprocess.Popen(  # noqa: S603  the user's own command line, split without a shell
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
        )
    except (OSError, ValueError) as error:
        raise LaunchFailed(f"cannot start {command!r}: {error}") from error
    assert server.stdout is not None
    output = _Output(server.stdout)
    try:
        yield _first_url(command, output)
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        output.join()


class _Output:
    """Output of the server, read to its end so that the server never blocks on a full pipe."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: SimpleQueue[str | None] = SimpleQueue()
        self.found = threading.Event()
        self._stream = stream
        self._reader = threading.Thread(target=self._read, name="launch-output", daemon=True)
        self._reader.start()

    def join(self) -> None:
        """Wait up to STOP_SECONDS for the end of the output: a child of the server may keep the pipe open."""
        self._reader.join(STOP_SECONDS)

    def _read(self) -> None:
        """Queue lines until the URL is found; queue None at the end of the output."""
        with self._stream:
            for line in self._stream:
                if not self.found.is_set():
                    self.lines.put(line)
        self.lines.put(None)


def _first_url(command: str, output: _Output) -> str:
    printed: deque[str] = deque(maxlen=TAIL_LINES)
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = output.lines.get(timeout=left)
        except Empty:
            break
        if line is None:
            raise LaunchFailed(f"{command!r} ended before it listened.{_output_text(printed)}")
        if match := URL.search(line):
            output.found.set()
            return match.group()
        printed.append(line)
    raise LaunchFailed(
        f"{command!r} printed no ws:// URL within {START_SECONDS:g} s, and no stomp:// URL.{_output_text(printed)}"
    )


def _output_text(printed: Iterable[str]) -> str:
    text = "".join(printed).rstrip()
    return f" It printed:\n{text}" if text else " It printed nothing."
