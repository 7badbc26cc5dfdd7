"""The log of the process: one line for each record, in text or JSON, on standard error.

A thread of its own writes the lines, so that no client waits for the reader of standard error, nor the end of the
server for one that reads no more. Each kind of line has a bound per minute, which keeps floods off the disk.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

from reference_server.events import Fields, escaped
from reference_server.server.clock import wall

LINES = 500
"""Lines of one kind, an event or a cause of refusals, in one window."""
WINDOW_SECONDS = 60.0
_WAITING = 2000
_LAST_SECONDS = 0.2


@contextlib.contextmanager
def writing(level: str, *, as_json: bool) -> Iterator[None]:
    """Write the server's own records of that level and above while the block runs.

    Those of its libraries are not among them: the one for WebSocket logs whole frames, passcodes included.
    """
    log = logging.getLogger("reference_server")
    log.setLevel(level.upper())
    log.propagate = False
    # Closed, it has a number that may be that of a connection.
    lines = Lines(sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY), as_json=as_json)
    log.addHandler(lines)
    try:
        yield
    finally:
        log.removeHandler(lines)
        lines.finish()


class Lines(logging.Handler):
    """Writes the records of `tell` to a file descriptor; says how many of a kind it left out."""

    def __init__(self, descriptor: int, *, as_json: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._as_json = as_json
        self._waiting: queue.Queue[tuple[float, str, str, Fields] | None] = queue.Queue(_WAITING)
        self._seen: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written, unless too many of its kind were or wait; never waits."""
        event, fields = cast("tuple[str, Fields]", record.args)
        kind = f"{event} {fields.get('cause', '')}".rstrip()
        self._seen[kind] += 1
        if self._passed[kind] < LINES:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait((record.created, record.levelname, event, fields))
                self._passed[kind] += 1

    def finish(self) -> None:
        """Write what waits, within a moment."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_LAST_SECONDS)
        self._writer.join(_LAST_SECONDS)

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            window_end = wall() + WINDOW_SECONDS
            while not is_over and (left := window_end - wall()) > 0:
                with contextlib.suppress(queue.Empty):
                    entry = self._waiting.get(timeout=left)
                    is_over = entry is None
                    if entry is not None:
                        self._write(*entry)
            self.acquire()
            left_out = self._seen - self._passed
            self._seen, self._passed = Counter(), Counter()
            self.release()
            for kind, lines in left_out.items():
                self._write(time.time(), "WARNING", "left-out", Fields(kind=kind, lines=lines))

    def _write(self, created: float, level: str, event: str, fields: Fields) -> None:
        moment = (
            datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        line = f"{moment} {level} {event} {fields}"
        if self._as_json:
            line = escaped({"time": moment, "level": level.lower(), "event": event, "fields": fields})
        octets = line.encode() + b"\n"
        with contextlib.suppress(OSError):  # a full disk, a reader that is gone
            while octets:
                octets = octets[os.write(self._descriptor, octets) :]
