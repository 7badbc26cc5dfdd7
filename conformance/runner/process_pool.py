"""Processes that run the models beside the other tests, each with an interpreter of its own.

A process that can't be started, or that dies, costs no verdict: its test runs in this process instead.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.run.parallelism import processes_for_models
from conformance.runner.messages import Job, Outcome, SentTarget, Stop, Task, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.run.run import Run
    from conformance.targets.target import Target

_MODULE = "conformance.runner.second_process"
#: Seconds that a process gets to end by itself.
_GOODBYE_SECONDS = 1.0
_SLICE_SECONDS = 0.2


class Lost(Exception):
    """The process ended without an answer; the message says how."""


def processes_for(run: Run, tests: int) -> int:
    """Number of processes for so many tests that each take long.

    0 where tests must not run side by side, or where the server has room for few connections.
    """
    admission = run.target.access.admission
    if run.workers < 2 or tests == 0 or admission is None or not admission.run.places.is_roomy:
        return 0
    return min(tests, processes_for_models(run.workers, run.target.round_trip))


class ProcessPool:
    """`count` processes that take part in a run. Thread-safe."""

    def __init__(self, run: Run, count: int, modules: Iterable[str] = ()) -> None:
        """`modules` are those of the tests."""
        self._run = run
        self.count = count
        names = tuple(sorted(set(modules)))
        self._processes = [_Process(run, names) for _ in range(count)]
        self._idle: queue.Queue[_Process] = queue.Queue()
        for process in self._processes:
            self._idle.put(process)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="end-of-processes", daemon=True).start()

    def perform(self, task: Task) -> Outcome:
        """Have the next idle process run a test, and wait for its end. Raises Lost if the process ends before."""
        process = self._idle.get()
        try:
            return process.perform(task)
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End all processes, by force after _GOODBYE_SECONDS. May be called twice."""
        self._closed.set()
        for process in self._processes:
            process.close()

    def _watch(self) -> None:
        """Tell the processes when the run ends early."""
        while not self._closed.wait(_SLICE_SECONDS):
            if self._run.ended_early:
                for process in self._processes:
                    process.stop(self._run.ended_early)
                return


@contextlib.contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Hold SIGINT back, in the threads of this process for a moment, and in one that is started for good.

    It ignores SIGINT as soon as it can; until then it imports modules, and would show where it was interrupted.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Process:
    """One process, started at once, and the pipes to it."""

    def __init__(self, run: Run, modules: tuple[str, ...]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._writing = threading.Lock()
        self._why = ""
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            with _ctrl_c_held():
                self._popen = subprocess.Popen(  # noqa: S603  the suite's own module
                    [sys.executable, "-m", _MODULE],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": path},
                )
            self._send(_job(run, modules))
        except (OSError, ValueError, TypeError, AttributeError, pickle.PicklingError) as error:
            self._why = f"it could not be started: {error}"

    def perform(self, task: Task) -> Outcome:
        """Run a test. Raises Lost."""
        if self._popen is None or self._why:
            raise Lost(self._why)
        assert self._popen.stdout is not None
        try:
            self._send(task)
            outcome = receive(self._popen.stdout)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            self._why = f"it ended with status {self._end()}"
            raise Lost(self._why) from error
        assert isinstance(outcome, Outcome)
        return outcome

    def stop(self, reason: str) -> None:
        """Have the test end that is running."""
        with contextlib.suppress(OSError, ValueError):
            self._send(Stop(reason))

    def close(self) -> None:
        """End the process. May be called twice."""
        if self._popen is not None and self._popen.returncode is None:
            self._end()

    def _send(self, message: object) -> None:
        assert self._popen is not None
        assert self._popen.stdin is not None
        with self._writing:
            send(self._popen.stdin, message)

    def _end(self) -> int:
        """End the process, by force if it must be; returns its exit status."""
        assert self._popen is not None
        with contextlib.suppress(OSError, ValueError):
            self._popen.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        for force in (self._popen.terminate, self._popen.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(_GOODBYE_SECONDS)
                break
            force()
        status = self._popen.wait()
        self._popen.stdout.close()  # type: ignore[union-attr]
        return status


def _job(run: Run, modules: tuple[str, ...]) -> Job:
    """The run, without what can't be sent."""
    return Job(run.options, tuple(_sent(node) for node in run.target.nodes), modules)


def _sent(target: Target) -> SentTarget:
    http = target.http
    bare = replace(
        target,
        tls=None,
        http=replace(http, tls=None) if http is not None else None,
        access=replace(target.access, admission=None),
        others=(),
    )
    admission = target.access.admission
    return SentTarget(
        bare,
        has_tls=target.tls is not None,
        http_has_tls=http is not None and http.tls is not None,
        connections=admission.run.places.give_share() if admission is not None else None,
    )
