"""One run of the suite in a process of its own, with its status, its output, its time and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


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
        try:
            if meanwhile is not None:
                meanwhile(process)
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return Ended(
            process.returncode,
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
            seconds,
            usage.ru_maxrss * 1024,
        )
