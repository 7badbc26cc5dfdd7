"""One run of the suite in a process of its own, with its status, its output, its time and its memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """A command that has ended: exit status (negative for a signal), output, seconds, and its most memory in bytes."""

    status: int
    out: str
    err: str
    seconds: float
    memory: int

    @property
    def said(self) -> str:
        """Everything printed, on one line."""
        return " ".join((self.out + self.err).split())


def judged(
    *arguments: str, within: float, meanwhile: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Ended:
    """Run `python -m conformance` and wait for its end; kill it after `within` seconds.

    `meanwhile` is called while the command runs.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("STOMPLIANCE", "PYTEST"))}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "conformance", *arguments], stdout=out, stderr=err, env=environment
        )
        timer = threading.Timer(within, process.kill)
        timer.start()
        peak = _PeakMemory(process.pid)
        peak.start()
        try:
            if meanwhile is not None:
                meanwhile(process)
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            timer.cancel()
            peak.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return Ended(
            process.returncode,
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
            seconds,
            peak.octets or usage.ru_maxrss * 1024,
        )


def most_memory(pid: int) -> int:
    """The most memory that a running program has had so far, in bytes; 0 if the system doesn't tell.

    The usage that `wait4` reports counts the parent's memory too, from the instant between fork and exec.
    """
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return 1024 * int(found[1]) if found else 0
    return 0


class _PeakMemory(threading.Thread):
    """Looks at the memory of a process until it is stopped: `octets` is what was seen last."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.octets = 0
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        """Look again and again; a process that has ended tells nothing."""
        while not self._ended.wait(_LOOK_SECONDS):
            self.octets = max(self.octets, most_memory(self._pid))

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()
