"""A signal that comes while the command of --launch is being started leaves no server behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.targets import server_process
from conformance.targets.server_process import running_server

if TYPE_CHECKING:
    from types import FrameType

#: Prints no URL, and ends with its group only.
COMMAND = f"{sys.executable} -c 'import signal; signal.pause()'"
DEADLINE = 10.0


def test_a_signal_between_the_start_and_the_number_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is there, and nobody knows it yet."""
    started: list[subprocess.Popen[str]] = []
    interrupted = threading.Event()
    start = subprocess.Popen

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def start_and_interrupt(*words: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(start(*words, **options))
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.wait(DEADLINE)
        return started[0]

    before = signal.signal(signal.SIGINT, interrupt)
    monkeypatch.setattr(server_process.subprocess, "Popen", start_and_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), running_server(COMMAND):
            pass
        assert started[0].poll() is not None
    finally:
        signal.signal(signal.SIGINT, before)
        started[0].kill()
        started[0].wait()
