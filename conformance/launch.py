"""Starting a server for the length of one run: the command of `--launch`.

The server only has to print a line that holds its WebSocket URL once it listens, and to stop on SIGTERM.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

START_SECONDS = 20.0
STOP_SECONDS = 5.0
URL = re.compile(r"wss?://[^\s,;]+")
TAIL_LINES = 20


class LaunchFailed(Exception):
    """The command could not be started, ended at once, or named no WebSocket URL in time."""


@contextlib.contextmanager
def launched(command: str) -> Iterator[str]:
    """Run `command` and give the first ws:// or wss:// URL that it prints; stop it at the end.

    Raises LaunchFailed with what the command printed when no URL came within START_SECONDS.
    """
    try:
        server = subprocess.Popen(  # noqa: S603  the user's own command line, split without a shell
            shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except (OSError, ValueError) as error:
        raise LaunchFailed(f"cannot start {command!r}: {error}") from error
    try:
        yield _first_url(command, server.stdout)
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _first_url(command: str, output: IO[str] | None) -> str:
    lines: SimpleQueue[str | None] = SimpleQueue()
    found = threading.Event()

    def read() -> None:
        # Goes on to the end, so that the server never blocks on a full pipe; later lines are dropped.
        for line in output or ():
            if not found.is_set():
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="launch-output", daemon=True).start()
    printed: list[str] = []
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except Empty:
            break
        if line is None:
            raise LaunchFailed(f"{command!r} ended before it listened.{_said(printed)}")
        if match := URL.search(line):
            found.set()
            return match.group()
        printed.append(line)
    raise LaunchFailed(f"{command!r} printed no ws:// URL within {START_SECONDS:g} s.{_said(printed)}")


def _said(printed: list[str]) -> str:
    return " It printed:\n" + "".join(printed[-TAIL_LINES:]) if printed else " It printed nothing."
