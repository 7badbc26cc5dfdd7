"""A server whose machine gives it no processor now and then: what is late with it is everything."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from tests.server.test_command_line import running

if TYPE_CHECKING:
    from tests.command.conftest import Command

#: Seconds between two pauses, and of each.
RUNS, PAUSES = 1.0, 0.6


def test_a_server_that_is_paused_again_and_again_beats_as_it_can(conformance: Command) -> None:
    """Its beats are as late as its answers, which breaks no clause."""
    with running("--port", "0") as server:
        over = threading.Event()

        def pause() -> None:
            while not over.wait(RUNS):
                os.kill(server.process.pid, signal.SIGSTOP)
                over.wait(PAUSES)
                os.kill(server.process.pid, signal.SIGCONT)

        pausing = threading.Thread(target=pause, daemon=True)
        pausing.start()
        try:
            ended = conformance(
                f"ws://127.0.0.1:{server.port}/stomp",
                "--class",
                "stomp-1.2",
                "--clause",
                "STOMP-HEARTBEAT-005",
            )
        finally:
            over.set()
            pausing.join()
    assert ended.returncode == 0, ended.stdout + ended.stderr
