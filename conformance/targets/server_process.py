"""Process of a server that runs for one run of the suite: the command of `--launch`.

The server must print a line with its URL for STOMP once it listens, and stop on SIGTERM. It is the first of a process
group of its own: what the command starts, such as the server behind a shell or a build tool, is stopped with it, and
Ctrl-C in a terminal reaches the suite alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from typing import TYPE_CHECKING

from conformance.targets.commands import missing_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

START_SECONDS = 20.0
STOP_SECONDS = 5.0
_SLICE_SECONDS = 0.2
#: A URL in a line of text, without the punctuation, bracket or colour escape that follows it.
URL = re.compile(r"(?:wss?|stomps?|stomp\+ssl)://[^\s,;<>\"'`\x00-\x1f]*[^\s,;<>\"'`\x00-\x1f.:!?)\]}]")
TAIL_LINES = 20
#: Longest line, in characters: a longer one is read as several.
_LINE_LIMIT = 4096


class LaunchFailed(Exception):
    """The command could not be started, ended early, or printed no URL in time."""


@contextlib.contextmanager
def running_server(command: str) -> Iterator[str]:
    """Run `command` as long as the context; yields the first URL for STOMP that it prints.

    Raises LaunchFailed, with the command's output, if no URL comes within START_SECONDS. An exception of the context
    gets a note if the command has ended by then.
    """
    process = _Process(command)
    try:
        process.start()
        output = process.output
        url = _first_url(command, output)
        try:
            yield url
        except Exception as error:
            if (status := process.status()) is not None:
                error.add_note(
                    f"The command of --launch has ended with status {status}.{_output_text(output.tail)}"
                )
            raise
    finally:
        process.stop()


class _Process:
    """Process of a command, and its output.

    A signal may raise KeyboardInterrupt anywhere in the main thread, also between the start of a process and the moment
    when its number is known. So another thread starts it, and `stop` stops whatever was started. An event tells when
    that thread is done: `Thread.join` takes it for ended if a signal interrupts the wait (Python 3.11 and 3.12).
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._server: subprocess.Popen[str] | None = None
        self._failure: LaunchFailed | None = None
        self._starting = threading.Thread(target=self._start, name="launch")
        self._is_asked = False
        self._done = threading.Event()
        self.output: _Output

    def start(self) -> None:
        """Start it. Raises LaunchFailed."""
        self._is_asked = True
        self._starting.start()
        self._done.wait()
        if self._failure is not None:
            raise self._failure

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        assert self._server is not None
        return self._server.poll()

    def stop(self) -> None:
        """Stop what was started."""
        # A thread without a number was interrupted before its start.
        while self._is_asked and not self._done.wait(_SLICE_SECONDS) and self._starting.ident is not None:
            pass
        if self._server is not None:
            _stop(self._server, self.output)

    def _start(self) -> None:
        try:
            self._start_server()
        finally:
            self._done.set()

    def _start_server(self) -> None:
        words: list[str] = []
        try:
            words = shlex.split(self._command)
            if not words:
                self._failure = LaunchFailed("there is no command to start")
                return
            self._server = subprocess.Popen(  # noqa: S603  the user's own command line, split without a shell
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                process_group=0 if hasattr(os, "killpg") else None,
            )
        except (OSError, ValueError) as error:
            why = missing_program(words) if words else ""
            self._failure = LaunchFailed(f"cannot start {self._command!r}: {why or error}")
            return
        assert self._server.stdout is not None
        self.output = _Output(self._server.stdout)


def _stop(server: subprocess.Popen[str], output: _Output) -> None:
    """Stop the process and all of its group, by force after STOP_SECONDS or if the wait is interrupted."""
    _signal(server, "SIGTERM")
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            output.join()
    finally:
        _signal(server, "SIGKILL")
        server.wait()


def _signal(server: subprocess.Popen[str], name: str) -> None:
    """Send a signal to the group of the process, or to the process alone where there are no groups."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(
            ProcessLookupError, PermissionError
        ):  # macOS refuses a group of ended processes
            os.killpg(server.pid, signal.Signals[name])
    else:
        server.terminate()


class _Output:
    """Output of the server, read to its end so that the server never blocks on a full pipe."""

    def __init__(self, stream: IO[str]) -> None:
        self.url = ""
        """First URL that was printed, "" before."""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """Last lines."""
        self.changed = threading.Event()
        """Set by the URL, or by the end of the output."""
        self._stream = stream
        self._reader = threading.Thread(target=self._read, name="launch-output", daemon=True)
        self._reader.start()

    def join(self) -> None:
        """Wait up to STOP_SECONDS for the end of the output: a child of the server may keep the pipe open."""
        self._reader.join(STOP_SECONDS)

    def _read(self) -> None:
        with self._stream:
            while line := self._stream.readline(_LINE_LIMIT):
                if not self.url and (match := URL.search(line)):
                    self.url = match.group()
                    self.changed.set()
                self.tail.append(line)
        self.changed.set()


def _first_url(command: str, output: _Output) -> str:
    if not output.changed.wait(START_SECONDS):
        raise LaunchFailed(
            f"{command!r} printed no ws:// URL within {START_SECONDS:g} s, and no stomp:// URL."
            f"{_output_text(output.tail)}"
        )
    if not output.url:
        raise LaunchFailed(f"{command!r} ended before it listened.{_output_text(output.tail)}")
    return output.url


def _output_text(printed: Iterable[str]) -> str:
    text = "".join(tuple(printed)).rstrip()
    return f" It printed:\n{text}" if text else " It printed nothing."
